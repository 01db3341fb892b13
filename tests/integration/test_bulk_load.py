"""Many first events at once: PostgreSQL's bulk load stores what one statement would have stored."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from factories import a_valid_event
from feed_visibility import caught_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import eventually
from writing import append, one_waits, publish_together

from learning_hub.model.clock import now
from learning_hub.model.errors import InvalidFields, Unavailable
from learning_hub.model.feed import BEGINNING, FeedFilter
from learning_hub.model.ids import new_uuid
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.writer import COPIED_FROM
from learning_hub.store import database as database_module
from learning_hub.store import events
from learning_hub.store.database import Database, copy_rows
from learning_hub.store.driver_errors import DataRefused
from learning_hub.store.feed import read_feed

MANY = COPIED_FROM + 50
OF_NO_COLLATION_ALIKE = ("a", "B", "é", "Z", "-", "_", "z", "Ä", "10", "9", "\N{GRINNING FACE}", "\uffee")


@pytest.fixture
async def nurses(database: Database) -> Database:
    """A database with the Program NURSES."""
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    return database


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each bulk load that was tried stored its events."""
    tried: list[bool] = []
    copy_first = events.copy_first

    async def noted(*arguments: Any) -> bool:
        tried.append(await copy_first(*arguments))
        return tried[-1]

    monkeypatch.setattr(events, "copy_first", noted)
    return tried


def some_events(count: int, **changes: Any) -> list[ReceivedEvent]:
    """So many of sources of their own, in an order that is not that of their keys."""
    numbers = list(range(count))
    random.Random(7).shuffle(numbers)
    return [
        a_valid_event(PublisherEventId=f"{OF_NO_COLLATION_ALIKE[n % len(OF_NO_COLLATION_ALIKE)]}:{n}", **changes)
        for n in numbers
    ]


async def sources(database: Database) -> list[str]:
    """The PublisherEventIds of the feed, in its order."""
    await caught_up(database)
    part = await read_feed(database, FeedFilter(program_id="NURSES"), BEGINNING, 5000)
    return [event.publisher_event_id for event in part.events]


@pytest.mark.parametrize(("count", "tried"), [(MANY, [True]), (COPIED_FROM - 1, [])])
async def test_arrival_and_rows(nurses: Database, copies: list[bool], count: int, tried: list[bool]) -> None:
    """The feed has them as they arrived; rows are written by source key, in one order for either way."""
    arrivals = some_events(count)
    answers = await publish_together(nurses, arrivals)
    written = await nurses.fetch("SELECT publisher_event_id FROM event ORDER BY ctid")
    in_order = await nurses.fetch("""SELECT publisher_event_id FROM event ORDER BY publisher_event_id COLLATE "C" """)

    assert copies == tried
    assert {answer.outcome for answer in answers} == {"stored"}
    assert await sources(nurses) == [event.publisher_event_id for event in arrivals]
    assert written == in_order


async def test_large_data_are_not_copied(nurses: Database, copies: list[bool]) -> None:
    """What the driver would not send at once takes the statement."""
    answers = await publish_together(nurses, some_events(MANY, PublisherEventData={"text": "x" * 3000}))

    assert copies == []
    assert {answer.outcome for answer in answers} == {"stored"}


async def test_several_programs_are_not_copied(nurses: Database, copies: list[bool]) -> None:
    """Events of several Programs, which may be in several partitions, take the statement."""
    await nurses.execute("INSERT INTO program (program_id, name) VALUES ('DOCTORS', 'Doctors')")
    others = some_events(1, PublisherProgramId="DOCTORS")
    answers = await publish_together(nurses, some_events(MANY) + others)

    assert copies == []
    assert {answer.outcome for answer in answers} == {"stored"}


async def test_one_is_there_already(nurses: Database, copies: list[bool]) -> None:
    """Where one has an entry, the others are stored all the same, and that one is judged by what is there."""
    arrivals = some_events(MANY)
    (before,) = await publish_together(nurses, [arrivals[99]])
    answers = await publish_together(nurses, arrivals)

    assert copies == [False]
    assert [answer.outcome for answer in answers] == ["same" if n == 99 else "stored" for n in range(MANY)]
    assert answers[99].key == before.key
    assert sorted(await sources(nurses)) == sorted(event.publisher_event_id for event in arrivals)


async def test_all_are_there_already(nurses: Database, copies: list[bool]) -> None:
    """Of a year that is sent again, one part alone is tried by bulk load, and none of it is stored twice."""
    arrivals = some_events(2000)
    before = await publish_together(nurses, arrivals)
    of_new = list(copies)
    again = await publish_together(nurses, arrivals)

    assert set(of_new) == {True}
    assert copies[len(of_new) :].count(False) <= 2  # one for each of two writers
    assert {answer.outcome for answer in again} == {"same"}
    assert [answer.key for answer in again] == [answer.key for answer in before]
    assert len(await sources(nurses)) == 2000


async def test_another_process_is_first(nurses: Database, copies: list[bool]) -> None:
    """A bulk load waits for whoever writes one of its sources, and steps back once that one is there."""
    arrivals = some_events(MANY)
    async with nurses.transaction() as connection:
        await append(connection, a_valid_event(PublisherEventId=arrivals[7].publisher_event_id, EventEndUtc=None))
        publishing = asyncio.create_task(publish_together(nurses, arrivals))
        await one_waits(nurses)
    answers = await publishing

    assert copies == [False]
    assert {answer.outcome for answer in answers} == {"stored"}
    assert len(await sources(nurses)) == MANY + 1
    revised = await nurses.fetch("SELECT publisher_event_id AS id, revision FROM event WHERE revision > 1")
    assert [tuple(row) for row in revised] == [(arrivals[7].publisher_event_id, 2)]


@pytest.mark.parametrize("other", ["ARCHIVED", "NOWHERE"])
async def test_a_program_that_takes_no_events(nurses: Database, copies: list[bool], other: str) -> None:
    """Many events of such a Program are refused, and nothing is stored."""
    await nurses.execute("INSERT INTO program (program_id, name, archived_utc) VALUES ('ARCHIVED', 'Old', now())")
    with pytest.raises(InvalidFields):
        await publish_together(nurses, some_events(MANY, PublisherProgramId=other))

    assert copies == [False]
    assert not await nurses.fetch("SELECT FROM event")


async def test_numbers_in_the_order_of_transactions(nurses: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who draws places after a bulk load comes after it in the feed and by number, though it is written first."""

    async def late(*load: Any) -> None:
        async with nurses.transaction() as other:
            await append(other, a_valid_event(PublisherEventId=arrivals[7].publisher_event_id, EventType="AI_REOPENED"))
        await copy_rows(*load)

    arrivals = some_events(MANY)
    monkeypatch.setattr(events, "copy_rows", late)
    await publish_together(nurses, arrivals)
    by_place = await nurses.fetch("SELECT event_uuid, event_type FROM event ORDER BY epoch, xid, seq")

    assert by_place[-1]["event_type"] == "AI_REOPENED"
    assert by_place == await nurses.fetch("SELECT event_uuid, event_type FROM event ORDER BY seq")


@pytest.mark.parametrize("dies", [False, True])
async def test_a_server_that_takes_no_more(nurses: Database, monkeypatch: pytest.MonkeyPatch, dies: bool) -> None:
    """A load that the server does not take to its end, or does not survive, ends as when the database is away."""
    monkeypatch.setattr(database_module, "COMMAND_SECONDS", 2.0)
    await nurses.execute("CREATE TABLE slow (k int, text text)")
    await nurses.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN new; END'"
    )
    await nurses.execute("CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait()")

    async def load() -> None:
        async with nurses.transaction() as connection:
            await copy_rows(connection, "slow", ("k", "text"), [(n, "x" * 20_000) for n in range(1000)])

    loading = asyncio.create_task(load())
    if dies:
        kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY %'"
        await eventually(lambda: nurses.fetchval(f"{kill} AND datname = current_database()"))
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await loading
    await publish_together(nurses, some_events(MANY))
    assert len(await sources(nurses)) == MANY


async def test_what_the_driver_cannot_write(nurses: Database) -> None:
    """A value that the driver has no form for is refused as one that the database does not take."""
    with pytest.raises(DataRefused):
        async with nurses.connection() as connection:
            await copy_rows(connection, "program", ("program_id", "name"), [("DOCTORS", 7)])


async def test_one_that_the_database_refuses(nurses: Database) -> None:
    """What the database does not take fails alone; all others of the load are stored."""
    await nurses.execute("ALTER TABLE event ADD CHECK (publisher_event_id <> 'refused')")
    arrivals = some_events(MANY)
    arrivals.insert(50, a_valid_event(PublisherEventId="refused"))
    with pytest.raises(DataRefused):
        await publish_together(nurses, arrivals)

    del arrivals[50]
    assert await sources(nurses) == [event.publisher_event_id for event in arrivals]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=25)
EVENTS = st.fixed_dictionaries(
    {
        "PublisherSystemId": TEXT,
        "PublisherParticipantId": TEXT,
        "PublisherEventCategory": st.none() | st.fixed_dictionaries({"value": TEXT, "label": st.none() | TEXT}),
        "PublisherEventData": st.dictionaries(TEXT, TEXT | st.integers() | st.none(), max_size=3),
        "EventStartUtc": st.sampled_from(["0001-01-01T00:00:00Z", "2026-11-20T14:00:00.123456Z"]),
        "EventEndUtc": st.sampled_from([None, "2026-11-20T14:00:00.123457Z", "9999-12-31T23:59:59.999999Z"]),
    }
)
STORED = """
SELECT publisher_system_id, publisher_event_id, event_type, version, revision, supersedes, publisher_participant_id,
       category_value, category_label, data::text AS data, event_start_utc, event_end_utc, content_hash, created_utc,
       event_date, is_withdrawal, withdrawn_utc, epoch, row_number() OVER (ORDER BY seq) AS place
  FROM event WHERE program_id = $1 ORDER BY seq
"""


def test_copied_as_by_the_statement(database_address: str) -> None:
    """Whatever characters and times an event has, both ways store the same row."""
    loop = asyncio.new_event_loop()
    database = Database(database_address, max_connections=2)
    loop.run_until_complete(database.open())

    async def compare(bodies: list[dict[str, Any]]) -> None:
        created_utc = now()

        def of_program(program_id: str) -> dict[UUID, ReceivedEvent]:
            return {
                new_uuid(): a_valid_event(
                    PublisherProgramId=program_id, PublisherEventId=f"AI:{n * 7 % 11}:{n}", **body
                )
                for n, body in enumerate(bodies)
            }

        assert await events.copy_first(database, "NURSES", of_program("NURSES"), created_utc)
        assert not await events.append_first(database, of_program("DOCTORS"), created_utc)
        assert await database.fetch(STORED, "NURSES") == await database.fetch(STORED, "DOCTORS")
        await database.execute("TRUNCATE event")

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(EVENTS, min_size=1, max_size=15))
    def check(bodies: list[dict[str, Any]]) -> None:
        loop.run_until_complete(compare(bodies))

    try:
        loop.run_until_complete(
            database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'N'), ('DOCTORS', 'D')")
        )
        check()
    finally:
        loop.run_until_complete(database.close())
        loop.close()
