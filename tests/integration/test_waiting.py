"""What a waiting delivery waits for, as a sentence."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from imis_hub import ImisHub
from plans import nodes

from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.waiting import MOST_COUNTED
from learning_hub.services.waiting_reasons import with_reasons
from learning_hub.store import deliveries, feed, waiting
from learning_hub.store.database import Database

BOTH = ["AI_STARTED", "AI_COMP_SUCCESS"]


async def message(imis_hub: ImisHub, location: str) -> str:
    """The message of the only delivery of an event, which is the same in every list and alone."""
    (of_event,) = await imis_hub.deliveries_of(location)
    assert of_event["State"] == "waiting"
    alone = (await imis_hub.client.get(f"/deliveries/{of_event['DeliveryId']}")).json()
    listed = (await imis_hub.client.get("/deliveries", params={"EventId": of_event["EventId"]})).json()["Items"]
    assert {one["Message"] for one in (of_event, alone, *listed)} == {of_event["Message"]}
    return str(of_event["Message"])


async def test_a_held_delivery_names_who_or_what_releases_it(imis_hub: ImisHub) -> None:
    """A delivery of a stopped or manual subscription waits for somebody; one of a schedule for its next time."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    await imis_hub.settled(location, "waiting")
    assert await message(imis_hub, location) == (
        "The subscription is stopped: the delivery waits until somebody starts it or runs it once."
    )
    await imis_hub.put_subscription(State="started", Schedule="manual")
    assert await message(imis_hub, location) == (
        "The subscription is manual: the delivery waits until somebody runs it."
    )
    await imis_hub.put_subscription(Schedule="0 6 1 1 *", TimeZone="America/New_York")
    assert (await message(imis_hub, location)).endswith("next scheduled time, 2027-01-01T11:00:00Z.")


async def test_a_delivery_in_the_queue_says_how_many_are_before_it(imis_hub: ImisHub) -> None:
    """While a subscriber is slow, the others wait for their turn, or for an older one of their source record."""
    await imis_hub.set_up(EventTypes=BOTH)
    await imis_hub.fault("slow", Method="POST", Path="/api/Activity", Times=1, Seconds=3)
    first = await imis_hub.publish(EventType="AI_STARTED")
    await imis_hub.settled(first, "sending")
    same = await imis_hub.publish(EventType="AI_COMP_SUCCESS")
    others = [await imis_hub.publish(PublisherEventId=f"AI:{number}") for number in (1, 2)]
    for location in (same, *others):
        await imis_hub.settled(location, "waiting")
    (sending,) = await imis_hub.deliveries_of(first)
    assert await message(imis_hub, same) == (
        f"The delivery waits for an older one of its source record, {sending['DeliveryId']}, which is sending."
    )
    assert await message(imis_hub, others[1]) == (
        "The delivery waits for its turn: about 2 deliveries are before it at the subscriber."
    )
    await imis_hub.delivered(others[1])


MANY = """
INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses');
INSERT INTO subscriber (subscriber_id, name, connector, settings) VALUES ('imis', 'iMIS', 'imis', '{}');
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          start_epoch, start_snapshot)
VALUES ('sub', 'sub', 'imis', 'NURSES', '{}', '{}', '{}', 1, '1:1:');
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, due_utc)
SELECT 'NURSES', lpad(to_hex(seq), 32, '0')::uuid, 'sub', 'imis', gen_random_uuid(), seq, 'LB', seq::text,
       'AI_COMP_SUCCESS', 'waiting', '2026-01-01'::timestamptz + make_interval(secs => seq)
  FROM generate_series(1, 12000) AS seq
"""


OTHER_SUBSCRIBER = """
INSERT INTO subscriber (subscriber_id, name, connector, settings) VALUES ('other', 'Other', 'imis', '{}');
UPDATE delivery SET subscriber_id = 'other' WHERE event_seq = 12000
"""
MOST_READ = 12_000


@pytest.fixture
async def backlog(database: Database) -> Database:
    await database.execute(MANY)
    return database


async def test_reasons_of_a_whole_page_are_quick(backlog: Database) -> None:
    """Reasons of a thousand deliveries at the end of a long queue read a bounded part of it."""
    page = await deliveries.page(backlog, DeliveryFilter(), None, 1000)
    began = time.process_time()
    explained = await with_reasons(backlog, page)
    assert time.process_time() - began < 1
    more = "The delivery waits for its turn: more than 10,000 deliveries are before it at the subscriber."
    assert {one.message for one in explained} == {more}
    first: Any = await backlog.fetchrow("SELECT * FROM delivery ORDER BY due_utc LIMIT 1")
    (explained_first,) = await with_reasons(backlog, [deliveries.read_row(first)])
    assert explained_first.message == "The delivery waits for its turn: no delivery is before it at the subscriber."


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("statistics", ["none", "fresh"])
async def test_reasons_compare_no_delivery_with_every_other(backlog: Database, statistics: str, mode: str) -> None:
    """However they are planned, the reasons of a hundred deliveries read each delivery of the queue once."""
    await backlog.execute("ALTER TABLE delivery SET (autovacuum_enabled = false)")
    if statistics == "fresh":
        await backlog.execute("ANALYZE")
    keys = "SELECT array_agg(delivery_uuid)::text FROM delivery WHERE event_seq > 11900"
    uuids = f"'{await backlog.fetchval(keys)}'"
    statements = {
        waiting.queries.reasons: f"(array_fill('NURSES'::text, ARRAY[100]), {uuids})",
        waiting.queries.positions: f"(ARRAY['imis'], {uuids}, {MOST_COUNTED})",
    }
    for sql, values in statements.items():
        async with backlog.transaction() as connection:
            await connection.execute(feed.queries.plan_in_index_order)
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            await connection.execute(f"PREPARE reading AS {sql}")
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE reading {values}")
            await connection.execute("DEALLOCATE reading")
        for node in nodes(json.loads(plan)[0]["Plan"]):
            removed = sum(node.get(f"Rows Removed by {filtering}", 0) for filtering in ("Filter", "Join Filter"))
            assert (node["Actual Rows"] + removed) * node["Actual Loops"] <= MOST_READ, node


async def test_a_page_of_many_subscribers_counts_a_part_of_each_queue(backlog: Database) -> None:
    """What is counted of the queues is shared out among the subscribers of a page."""
    await backlog.execute(OTHER_SUBSCRIBER)
    page = await deliveries.page(backlog, DeliveryFilter(), None, 1000)
    messages = {one.subscriber_id: one.message for one in await with_reasons(backlog, page)}
    turn = "The delivery waits for its turn:"
    assert messages == {
        "imis": f"{turn} more than 5,000 deliveries are before it at the subscriber.",
        "other": f"{turn} no delivery is before it at the subscriber.",
    }
