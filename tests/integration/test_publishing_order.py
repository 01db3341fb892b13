"""The order of entries: what is written together comes out as if it had been published one after the other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from factories import a_valid_event, an_event_body
from feed_visibility import caught_up, reads_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import RunningHub
from writing import append, one_waits, publish_together, running

from learning_hub.model.errors import Conflict
from learning_hub.model.feed import BEGINNING, FeedFilter
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.writer import Writer
from learning_hub.store.database import Database
from learning_hub.store.feed import read_feed
from learning_hub.store.notifications import Notifications

pytestmark = pytest.mark.quick

ENTRIES = """
SELECT event.publisher_system_id, event.publisher_event_id, event.event_type, event.version, event.revision,
       event.data::text AS data, superseded.revision AS superseded
  FROM event
  LEFT JOIN event AS superseded
    ON superseded.program_id = event.program_id AND superseded.event_uuid = event.supersedes
   AND superseded.publisher_event_id = event.publisher_event_id AND superseded.event_type = event.event_type
   AND superseded.publisher_system_id = event.publisher_system_id
 WHERE event.program_id = $1
 ORDER BY event.epoch, event.xid, event.seq
"""


@pytest.fixture
async def nurses(database: Database) -> Database:
    """A database with the Program NURSES."""
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    return database


async def stored(database: Database) -> list[tuple[str, str, dict[str, Any], int]]:
    """What the feed has: type, source, data, revision."""
    await caught_up(database)
    part = await read_feed(database, FeedFilter(program_id="NURSES"), BEGINNING, 5000)
    return [
        (item.event_type, item.publisher_event_id, json.loads(bytes(item.publisher_event_data)), item.revision)
        for item in part.events
    ]


def an_event(kind: str, n: int, source: str = "AI:1") -> ReceivedEvent:
    return a_valid_event(EventType=kind, PublisherEventId=source, PublisherEventData={"n": n})


async def test_started_and_completed_in_one_batch(hub_without_worker: RunningHub) -> None:
    """Of each source record in a batch, started comes before completed in the feed, as it did in the batch."""
    await hub_without_worker.make_program()
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES"])
    reads_all(client, hub_without_worker.database)
    pairs = [
        an_event_body(PublisherEventId=f"AI:{number}", EventType=kind)
        for number in range(30)
        for kind in ("AI_STARTED", "AI_COMP_SUCCESS", "AI_REOPENED")
    ]
    answer = await client.post("/events/batch", json=pairs)
    entries = (await client.get("/events?ProgramId=NURSES&Limit=1000")).json()["Items"]

    assert {201} == {result["Status"] for result in answer.json()["Results"]}
    # Between source records there is no order.
    assert [entry["EventType"] for entry in sorted(entries, key=_number)] == [pair["EventType"] for pair in pairs]


def _number(entry: dict[str, Any]) -> int:
    return int(entry["PublisherEventId"].removeprefix("AI:"))


async def test_started_and_completed_from_single_requests(hub_without_worker: RunningHub) -> None:
    """Single requests that one commit takes together keep their order as well."""
    await hub_without_worker.make_program()
    arrivals = [an_event(kind, 0, f"AI:{n}") for n in range(20) for kind in ("LPI_STARTED", "LPI_COMP_SUCCESS")]
    await publish_together(hub_without_worker.database, arrivals)

    assert [(kind, source) for kind, source, _, _ in await stored(hub_without_worker.database)] == [
        (event.event_type, event.publisher_event_id) for event in arrivals
    ]


async def test_rows_are_written_in_one_order(nurses: Database) -> None:
    """Whatever the order of arrival, rows are written by source key, so that no two writers wait in a ring."""
    arrivals = [an_event(kind, 0, f"AI:{n % 7}") for n in range(14, 0, -1) for kind in ("LPI_STARTED", "AI_STARTED")]
    await publish_together(nurses, arrivals)
    written = await nurses.fetch(
        "SELECT publisher_event_id, publisher_system_id, event_type, version FROM event ORDER BY ctid"
    )
    in_order = await nurses.fetch(
        """SELECT publisher_event_id, publisher_system_id, event_type, version
             FROM event
            ORDER BY publisher_event_id COLLATE "C", publisher_system_id COLLATE "C", event_type COLLATE "C", version"""
    )

    assert len(written) == 14
    assert written == in_order


async def test_a_lost_race_takes_its_record_along(nurses: Database) -> None:
    """Where another process was first, all later ones of the source record are judged anew, and keep their order."""
    arrivals = [
        an_event("AI_STARTED", 1),
        an_event("AI_STARTED", 2),
        an_event("AI_STARTED", 2),
        an_event("AI_COMP_SUCCESS", 3),
        an_event("AI_STARTED", 4),
        an_event("AI_STARTED", 5, "AI:2"),
    ]
    async with nurses.transaction() as connection:
        await append(connection, an_event("AI_STARTED", 0))
        publishing = asyncio.create_task(publish_together(nurses, arrivals))
        await one_waits(nurses)
    published = await publishing

    assert [answer.outcome for answer in published] == ["stored", "stored", "same", "stored", "stored", "stored"]
    assert published[1].key == published[2].key
    entries = await stored(nurses)
    assert [(kind, data["n"], revision) for kind, source, data, revision in entries if source == "AI:1"] == [
        ("AI_STARTED", 0, 1),
        ("AI_STARTED", 1, 2),
        ("AI_STARTED", 2, 3),
        ("AI_COMP_SUCCESS", 3, 1),
        ("AI_STARTED", 4, 4),
    ]
    assert len(entries) == 6


async def test_keys_after_a_lost_race(nurses: Database) -> None:
    """Idempotency-Keys of events that were judged anew stand for what became of them then."""
    arrivals = [an_event("AI_STARTED", n) for n in (1, 2, 2, 3)]
    keys = ["k1", "k2", "k3", "k4"]
    async with nurses.transaction() as connection:
        await append(connection, an_event("AI_STARTED", 0))
        publishing = asyncio.create_task(publish_together(nurses, arrivals, keys))
        await one_waits(nurses)
    first = await publishing
    again = await publish_together(nurses, arrivals, keys)

    assert first == again
    assert [answer.outcome for answer in first] == ["stored", "stored", "same", "stored"]
    assert [data["n"] for _, _, data, _ in await stored(nurses)] == [0, 1, 2, 3]


async def test_a_key_that_another_process_takes(nurses: Database) -> None:
    """A key taken meanwhile is answered as it was there, and later ones of its source record come after that."""
    first, second, third = (an_event("AI_STARTED", n) for n in (1, 2, 3))
    other = Writer(nurses, Notifications(nurses))
    async with nurses.transaction() as connection:
        await connection.execute(
            "INSERT INTO idempotency_key VALUES ('NURSES', 'k2', sha256('other'), 201, gen_random_uuid())"
        )
        publishing = asyncio.create_task(publish_together(nurses, [first, second, third], ["k1", "k2", "k3"]))
        await one_waits(nurses)
    with pytest.raises(Conflict):
        await publishing
    async with running(other):
        assert (await other.publish(first, "k1")).outcome == "stored"
        assert (await other.publish(third, "k3")).outcome == "stored"

    assert [data["n"] for _, _, data, _ in await stored(nurses)] == [1, 3]
    assert await nurses.fetchval("SELECT count(*) FROM idempotency_key") == 3


async def test_two_uses_of_a_key_in_one_commit(nurses: Database) -> None:
    """The second use of a key waits for the first, and whatever comes after it in its source record waits as well."""
    arrivals = [an_event("AI_STARTED", n) for n in (1, 1, 2, 1)]
    published = await publish_together(nurses, arrivals, ["k", "k", None, "k"])

    assert [answer.outcome for answer in published] == ["stored", "stored", "stored", "stored"]
    assert published[0].key == published[1].key == published[3].key
    assert [(data["n"], revision) for _, _, data, revision in await stored(nurses)] == [(1, 1), (2, 2)]


async def test_a_thousand_revisions_take_few_statements(nurses: Database) -> None:
    """Revisions that arrive together are written together: a commit does not write one of them and read the rest."""
    await publish_together(nurses, [an_event("AI_STARTED", n) for n in range(1000)])
    commits = await nurses.fetchval("SELECT count(DISTINCT xid::text) FROM event")

    assert [(data["n"], revision) for _, _, data, revision in await stored(nurses)] == [(n, n + 1) for n in range(1000)]
    assert commits <= 3


async def test_two_batches_side_by_side(nurses: Database) -> None:
    """What is written beside another batch takes nothing that would overtake an earlier one of its source record."""
    kinds = ("LPI_STARTED", "LPI_COMP_SUCCESS", "AI_STARTED")
    arrivals = [an_event(kinds[n % 3], n, f"AI:{n * n % 61}") for n in range(3000)]
    answers = await publish_together(nurses, arrivals)
    entries = await stored(nurses)

    assert {answer.outcome for answer in answers} == {"stored"}
    assert await nurses.fetchval("SELECT count(DISTINCT xid::text) > 3 FROM event")
    for source in {event.publisher_event_id for event in arrivals}:
        asked = [
            json.loads(bytes(event.publisher_event_data))["n"]
            for event in arrivals
            if event.publisher_event_id == source
        ]
        assert [data["n"] for _, of_source, data, _ in entries if of_source == source] == asked


ARRIVALS = st.lists(
    st.builds(
        lambda source, system, kind, n: a_valid_event(
            PublisherEventId=source, PublisherSystemId=system, EventType=kind, PublisherEventData={"n": n}
        ),
        st.sampled_from(["b", "a"]),
        st.sampled_from(["TopClass", "LB"]),
        st.sampled_from(["AI_STARTED", "AI_COMP_SUCCESS", "LPI_REOPENED"]),
        st.integers(0, 2),
    ),
    max_size=25,
)


def test_together_as_one_after_the_other(database_address: str) -> None:
    """Events published in one batch give each source record the entries they give it when published one by one."""
    loop = asyncio.new_event_loop()
    database = Database(database_address, max_connections=3)
    loop.run_until_complete(database.open())

    async def entries() -> list[tuple[Any, ...]]:
        found = [tuple(row) for row in await database.fetch(ENTRIES, "NURSES")]
        await database.execute("TRUNCATE event")
        # Only those of one source record have an order.
        return sorted(found, key=lambda entry: entry[:2])

    async def compare(arrivals: list[ReceivedEvent]) -> None:
        together = [answer.outcome for answer in await publish_together(database, arrivals)]
        entries_together = await entries()
        writer = Writer(database, Notifications(database))
        async with running(writer):
            alone = [(await writer.publish(event)).outcome for event in arrivals]
        assert together == alone
        assert entries_together == await entries()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ARRIVALS)
    def check(arrivals: list[ReceivedEvent]) -> None:
        loop.run_until_complete(compare(arrivals))

    try:
        loop.run_until_complete(database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')"))
        check()
    finally:
        loop.run_until_complete(database.close())
        loop.close()
