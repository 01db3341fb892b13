"""Processing at the moment of publishing."""

from __future__ import annotations

import pytest
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


@pytest.mark.parametrize("address", ["/processEvents?ProgramId=NURSES", "/subscriptions/completions/run"])
async def test_what_is_not_settled_includes_what_was_just_committed(imis_hub: ImisHub, address: str) -> None:
    """A run over a Program or a subscription takes an event answered 201, whatever transaction is open elsewhere."""
    await imis_hub.set_up(Schedule="manual")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        location = await imis_hub.publish()

        result = (await imis_hub.client.post(address)).json()
        again = (await imis_hub.client.post(address)).json()

    assert (result["Matched"], result["Delivered"], again["Matched"]) == (1, 1, 0)
    await imis_hub.publish(PublisherEventId="AI:later")
    await imis_hub.client.post(address)
    assert [item["State"] for item in await imis_hub.deliveries_of(location)] == ["delivered"]
    assert len(await imis_hub.activities()) == 2
