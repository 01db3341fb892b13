"""Many first events at once: PostgreSQL's bulk load stores what one statement would have stored."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from factories import a_valid_event
from horizon import caught_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from writing import append, one_waits, publish_together

from learning_hub.model.arrival import Arrival
from learning_hub.model.clock import now
from learning_hub.model.errors import InvalidFields
from learning_hub.model.feed import BEGINNING
from learning_hub.model.ids import new_uuid
from learning_hub.publish.writer import COPIED_FROM
from learning_hub.store import events
from learning_hub.store.database import Database, DataRefused
from learning_hub.store.feed import FeedFilter, read_feed

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


def some_events(count: int, **changes: Any) -> list[Arrival]:
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
    return [event.publisher_event_id for event in part.found]


@pytest.mark.parametrize(("count", "tried"), [(MANY, [True]), (COPIED_FROM - 1, [])])
async def test_arrival_and_rows(nurses: Database, copies: list[bool], count: int, tried: list[bool]) -> None:
    """The feed has them as they arrived; rows are written by source key, in one order for either way."""
    arrivals = some_events(count)
    answers = await publish_together(nurses, arrivals)
    written = await nurses.fetch("SELECT publisher_event_id FROM event ORDER BY ctid")
    in_order = await nurses.fetch("""SELECT publisher_event_id FROM event ORDER BY publisher_event_id COLLATE "C" """)

    assert copies == tried
    assert {answer.status for answer in answers} == {"stored"}
    assert await sources(nurses) == [event.publisher_event_id for event in arrivals]
    assert written == in_order


async def test_one_is_there_already(nurses: Database, copies: list[bool]) -> None:
    """Where one has an entry, the others are stored all the same, and that one is judged by what is there."""
    arrivals = some_events(MANY)
    (before,) = await publish_together(nurses, [arrivals[99]])
    answers = await publish_together(nurses, arrivals)

    assert copies == [False]
    assert [answer.status for answer in answers] == ["same" if n == 99 else "stored" for n in range(MANY)]
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
    assert {answer.status for answer in again} == {"same"}
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
    assert {answer.status for answer in answers} == {"stored"}
    assert len(await sources(nurses)) == MANY + 1
    revised = await nurses.fetch("SELECT publisher_event_id AS id, revision FROM event WHERE revision > 1")
    assert [tuple(row) for row in revised] == [(arrivals[7].publisher_event_id, 2)]


@pytest.mark.parametrize("other", ["ARCHIVED", "NOWHERE"])
async def test_a_program_that_takes_no_events(nurses: Database, copies: list[bool], other: str) -> None:
    """An event of such a Program is refused, and those beside it are stored."""
    await nurses.execute("INSERT INTO program (program_id, name, archived_utc) VALUES ('ARCHIVED', 'Old', now())")
    arrivals = some_events(MANY)
    arrivals.insert(50, a_valid_event(PublisherProgramId=other))
    publishing = publish_together(nurses, arrivals)
    with pytest.raises(InvalidFields):
        await publishing

    assert copies == [False]
    assert len(await sources(nurses)) == MANY


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


def test_copied_as_by_the_statement(database_address_for_a_loop_of_its_own: str) -> None:
    """Whatever characters and times an event has, both ways store the same row."""
    loop = asyncio.new_event_loop()
    database = Database(database_address_for_a_loop_of_its_own, max_connections=2)
    loop.run_until_complete(database.open())

    async def compare(bodies: list[dict[str, Any]]) -> None:
        created_utc = now()

        def of_program(program_id: str) -> dict[UUID, Arrival]:
            return {
                new_uuid(): a_valid_event(
                    PublisherProgramId=program_id, PublisherEventId=f"AI:{n * 7 % 11}:{n}", **body
                )
                for n, body in enumerate(bodies)
            }

        assert await events.copy_first(database, of_program("NURSES"), created_utc)
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
