"""Filters over a long feed: no statement reads all of it, and nothing is left out where one stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from factories import a_valid_event
from feed_visibility import caught_up
from running import RunningHub

from learning_hub.model.event import Classification
from learning_hub.model.feed import BEGINNING, FeedFilter, Position
from learning_hub.model.ids import new_uuid
from learning_hub.store import events, feed
from learning_hub.store.database import Database
from learning_hub.store.events import Appended
from learning_hub.store.feed import read_feed

pytestmark = pytest.mark.quick

DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)


async def fill(database: Database, count: int, created: Callable[[int], datetime] = lambda _: DAY) -> None:
    """Entries 0 to *count*; every seventh has the category Rare, every fifth is Robin's."""
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses') ON CONFLICT DO NOTHING")
    new = []
    for number in range(count):
        event = a_valid_event(
            PublisherEventId=f"{number}",
            PublisherEventCategory={"value": "Online" if number % 7 else "Rare"},
            PublisherParticipantId="somebody" if number % 5 else "Robin",
        )
        new.append(
            Appended(
                event=event,
                event_uuid=new_uuid(),
                classification=Classification("new"),
                created_utc=created(number),
            )
        )
    async with database.transaction() as connection:
        await events.append_events(connection, new)
    await caught_up(database)


async def follow(database: Database, limit: int, **filters: Any) -> tuple[list[int], list[int]]:
    """The numbers of all entries that pass, and how many came with each part."""
    position, numbers, sizes = BEGINNING, [], []
    while True:
        part = await read_feed(database, FeedFilter(program_id="NURSES", **filters), position, limit)
        assert part.position > position or part.is_end
        position = part.position
        numbers += [int(event.publisher_event_id) for event in part.events]
        sizes.append(len(part.events))
        if part.is_end:
            return numbers, sizes


@pytest.mark.parametrize("most_examined", [1, 2, 7, 10, 100, 101])
@pytest.mark.parametrize("limit", [1, 3, 100, 1000])
async def test_parts_of_a_feed(
    database: Database, monkeypatch: pytest.MonkeyPatch, most_examined: int, limit: int
) -> None:
    """However few entries are looked at in one statement, following the places gives each that passes exactly once."""
    monkeypatch.setattr(feed, "MOST_EXAMINED", most_examined)
    await fill(database, 100)
    everything = range(100)

    cases: list[tuple[dict[str, Any], Sequence[int]]] = [
        ({}, everything),
        ({"category": "Rare"}, [n for n in everything if n % 7 == 0]),
        ({"category": "None"}, []),
        ({"category": "Rare", "publisher_participant_id": "Robin"}, [0, 35, 70]),
        ({"publisher_participant_id": "Robin", "event_date": DAY.date()}, [n for n in everything if n % 5 == 0]),
        ({"publisher_participant_id": "Robin", "event_date": (DAY + timedelta(1)).date()}, []),
        ({"category": "Rare", "event_date": DAY.date()}, [n for n in everything if n % 7 == 0]),
        ({"publisher_event_id": "35", "category": "Rare"}, [35]),
        ({"publisher_event_id": "36", "category": "Rare"}, []),
    ]
    for filters, found in cases:
        numbers, sizes = await follow(database, limit, **filters)
        assert numbers == list(found), filters
        assert max(sizes) <= limit


async def test_parts_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that finds nothing among the entries looked at gives an empty part, and the place where it stopped."""
    monkeypatch.setattr(feed, "MOST_EXAMINED", 10)
    await fill(database, 100)
    _, sizes = await follow(database, 100, category="None")
    part = await read_feed(database, FeedFilter(program_id="NURSES", category="None"), BEGINNING, 100)

    assert sizes == [0] * 11
    assert not part.is_end
    tenth = await database.fetchrow("SELECT epoch, xid, seq FROM event ORDER BY epoch, xid, seq OFFSET 9 LIMIT 1")
    assert tenth is not None
    assert part.position == Position(tenth["epoch"], tenth["xid"], tenth["seq"])


async def test_created_since_starts_where_that_day_does(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """CreatedSince does not look at earlier days, and leaves nothing out where clocks went backwards."""
    monkeypatch.setattr(feed, "MOST_EXAMINED", 30)
    # Ten a day; entry 12 comes from a clock that is five days ahead.
    await fill(database, 100, lambda number: DAY + timedelta(number // 10 + (5 if number == 12 else 0)))

    late = await read_feed(database, FeedFilter(program_id="NURSES", created_since=DAY + timedelta(8)), BEGINNING, 100)
    assert [int(event.publisher_event_id) for event in late.events] == list(range(80, 100))
    assert late.is_end
    assert await follow(database, 100, created_since=DAY + timedelta(6)) == ([12, *range(60, 100)], [1, 12, 28])
    assert await follow(database, 100, created_since=DAY + timedelta(30)) == ([], [0])
    assert (await follow(database, 100, created_since=DAY - timedelta(30)))[0] == list(range(100))
    everything = await follow(database, 1000)
    assert await follow(database, 100, created_since=datetime(1, 1, 1, tzinfo=UTC)) == (everything[0], [30, 30, 30, 10])


async def test_a_page_over_http_is_filled(
    hub_without_worker: RunningHub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a narrow filter is full, or reaches the end, however many statements that takes."""
    monkeypatch.setattr(feed, "MOST_EXAMINED", 10)
    await fill(database, 100)
    reader = await hub_without_worker.caller("read", programs=["NURSES"])

    first = await page(reader, Category="Rare", Limit=10)
    second = await page(reader, Category="Rare", Limit=10, Cursor=first["NextCursor"])
    nothing = await page(reader, Category="None")
    assert [len(first["Items"]), len(second["Items"]), len(nothing["Items"])] == [10, 5, 0]
    assert (await page(reader, Cursor=nothing["NextCursor"]))["Items"] == []


async def test_a_page_over_http_that_takes_long(
    hub_without_worker: RunningHub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where looking takes too long a page may be short, and never empty before the end."""
    monkeypatch.setattr(feed, "MOST_EXAMINED", 10)
    monkeypatch.setattr("learning_hub.services.feed.READ_SECONDS", 0)
    await fill(database, 100)
    reader = await hub_without_worker.caller("read", programs=["NURSES"])
    numbers: list[int] = []
    sizes: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await page(reader, Category="Rare", **cursor)
        cursor = {"Cursor": answer["NextCursor"]}
        numbers += [int(item["PublisherEventId"]) for item in answer["Items"]]
        sizes.append(len(answer["Items"]))
        if not answer["Items"]:
            break

    assert numbers == list(range(0, 100, 7))
    assert max(sizes) < 15
    assert 0 not in sizes[:-1]


async def page(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/events", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
