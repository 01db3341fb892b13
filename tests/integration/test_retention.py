"""What docs/explanation/scale.md says about keeping less is carried out as it stands there, and the hub goes on."""

from __future__ import annotations

import re
from typing import Any

from factories import an_event_body
from feed_visibility import reads_all
from imis_hub import ImisHub
from pages import ROOT
from running import RunningHub, eventually

from learning_hub.store.database import Database

REMOVE, CUT, DROP = re.findall(
    r"^```sql\n(.*?)^```$", (ROOT / "docs/explanation/scale.md").read_text(), re.MULTILINE | re.DOTALL
)
LAST_YEARS = "UPDATE event SET created_utc = created_utc - interval '8 years', event_date = event_date - 2922"


async def test_old_sources_are_removed_whole(hub_without_worker: RunningHub) -> None:
    """A source goes with all its revisions once the newest is old, and stays whole until then."""
    await hub_without_worker.make_program()
    client = reads_all(hub_without_worker.client, hub_without_worker.database)

    async def publish(source: str, number: int) -> int:
        body = an_event_body(PublisherEventId=source, PublisherEventData={"n": number})
        return (await client.post("/events", json=body)).status_code

    assert [await publish(source, 1) for source in ("AI:old", "AI:revised")] == [201, 201]
    assert await publish("AI:old", 2) == 201
    await hub_without_worker.database.execute(LAST_YEARS)
    assert [await publish(source, 3) for source in ("AI:revised", "AI:new")] == [201, 201]

    removed = [await hub_without_worker.database.fetchval(REMOVE) for _ in range(2)]
    entries = (await client.get("/events?ProgramId=NURSES")).json()["Items"]
    assert removed == [2, 0]
    assert [(entry["PublisherEventId"], entry["Revision"]) for entry in entries] == [
        ("AI:revised", 1),
        ("AI:revised", 2),
        ("AI:new", 1),
    ]
    assert await publish("AI:old", 2) == 201


async def test_attempts_are_cut_by_month(imis_hub: ImisHub, database: Database) -> None:
    """Attempts from before the cut and after it are read side by side, and a month is dropped without a trace."""
    await imis_hub.set_up()
    before = await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:1"))
    # Cut at a moment that is over, so that what comes now is in the month after it.
    await database.execute("UPDATE attempt SET started_utc = '2026-10-31T12:00:00Z'")
    await database.execute(CUT.replace("2026-12-01", "2026-11-01").replace("2027-01-01", "2200-01-01"))
    after = await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:2"))

    async def attempts(delivery: dict[str, str]) -> int:
        found = (await imis_hub.client.get(f"/deliveries/{delivery['DeliveryId']}")).json()
        return len(found["AttemptLog"])

    assert [await attempts(before), await attempts(after)] == [1, 1]
    await database.execute(DROP)
    assert [await attempts(before), await attempts(after)] == [0, 1]


async def test_a_delivery_of_a_removed_event_is_not_sent(imis_hub: ImisHub, database: Database) -> None:
    """It becomes discarded with a code of its own, and is still shown."""
    await imis_hub.set_up(State="stopped")
    waiting = await imis_hub.settled(await imis_hub.publish(), "waiting")
    await database.execute("DELETE FROM event")
    await imis_hub.client.post("/subscriptions/completions/run")

    async def shown() -> dict[str, Any]:
        return dict((await imis_hub.client.get(f"/deliveries/{waiting['DeliveryId']}")).json())

    delivery = await eventually(shown, until=lambda found: found["State"] not in ("waiting", "sending"))
    assert (delivery["State"], delivery["Code"], delivery["Event"]) == ("discarded", "event_removed", None)
    assert await imis_hub.activities() == []


async def test_deliveries_and_attempts_go_with_their_events(imis_hub: ImisHub, database: Database) -> None:
    """After the statement of the page nothing is left of a removed source, and of others everything."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:old"))
    await database.execute(LAST_YEARS)
    kept = await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:new"))
    assert await database.fetchval(REMOVE) == 1
    uuids = [await database.fetchval(f"SELECT string_agg(delivery_uuid::text, ' ') FROM {table}")
             for table in ("delivery", "attempt")]  # fmt: skip
    assert uuids == [kept["DeliveryId"][-36:]] * 2


async def test_a_source_that_is_being_sent_stays_whole(imis_hub: ImisHub, database: Database) -> None:
    """The statement of the page leaves nothing half: a source with a delivery being sent goes the next time."""
    await imis_hub.set_up(State="stopped")
    await imis_hub.settled(await imis_hub.publish(), "waiting")
    await database.execute(LAST_YEARS)
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE delivery SET state = 'sending', held = false, due_utc = NULL, attempts = 1, "
            "lease_id = gen_random_uuid(), lease_until_utc = clock_timestamp() + interval '1 hour'"
        )
        assert await connection.fetchval(REMOVE) == 0
        await connection.execute(
            "UPDATE delivery SET state = 'waiting', held = true, due_utc = now(), "
            "lease_id = NULL, lease_until_utc = NULL"
        )
    assert await database.fetchval(REMOVE) == 1
    assert await database.fetchval("SELECT count(*) FROM delivery") == 0
