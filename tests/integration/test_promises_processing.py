"""Processing at the moment of publishing."""

from __future__ import annotations

from imis_hub import ImisHub


async def test_a_bucket_holds_what_was_just_committed(imis_hub: ImisHub) -> None:
    """An event answered 201 is in its bucket at once, also while somebody else's transaction is open on the server."""
    await imis_hub.set_up(Schedule="manual")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        location = await imis_hub.publish()
        event = (await imis_hub.client.get(location)).json()

        result = await imis_hub.process(EventDateBucket=event["EventDateBucket"])

    assert (result["Matched"], result["Delivered"]) == (1, 1)
