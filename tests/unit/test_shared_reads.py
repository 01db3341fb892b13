"""Reads of a feed that requests share while they wait for entries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from learning_hub.model.errors import Unavailable
from learning_hub.model.feed import FeedFilter, Position
from learning_hub.services.shared_reads import ANSWERED_AT_ONCE, SharedReads
from learning_hub.store.feed import FeedPart

ALL = FeedFilter(program_id="NURSES")


def at(number: int) -> Position:
    return Position(1, number, 0)


class Entries:
    """A feed with an entry at each of some positions, and its end; what was read from where."""

    def __init__(self, *entries: int, end: int = 9) -> None:
        self.entries = entries
        self.end = end
        self.reads: list[tuple[str, int]] = []

    async def read(self, feed_filter: FeedFilter, after: Position, limit: int) -> FeedPart:
        self.reads.append((feed_filter.program_id, after.xid))
        await asyncio.sleep(0)
        events: Any = [number for number in self.entries if number > after.xid][:limit]
        return FeedPart(events, at(events[-1] if events else self.end), is_end=True, last=None)


async def test_requests_of_one_key_share_a_read_and_none_sees_an_entry_again() -> None:
    """The earliest position of all is read from; who is beyond it reads again only if entries were found."""
    empty, full = Entries(), Entries(3, 5)
    shared = SharedReads(empty.read)
    parts = await asyncio.gather(*(shared.read("key", ALL, at(number), 10) for number in (4, 2, 6, 2)))
    assert empty.reads == [("NURSES", 2)]
    assert {part.position for part in parts} == {at(9)}

    shared = SharedReads(full.read)
    parts = await asyncio.gather(*(shared.read("key", ALL, at(number), 10) for number in (4, 2, 6, 2)))
    found: list[Any] = [part.events for part in parts]
    assert found == [[5], [3, 5], [], [3, 5]]
    assert full.reads == [("NURSES", 2), ("NURSES", 4), ("NURSES", 6)]


async def test_a_cursor_beyond_the_end_is_read_from_as_it_is() -> None:
    """An end that lies before a request's own position is not its end."""
    entries = Entries(end=5)
    shared = SharedReads(entries.read)
    await asyncio.gather(shared.read("key", ALL, at(2), 10), shared.read("key", ALL, at(7), 10))
    assert entries.reads == [("NURSES", 2), ("NURSES", 7)]


async def test_keys_are_served_in_rotation() -> None:
    """A key with many different reads does not hold up another's one."""
    entries = Entries()
    shared = SharedReads(entries.read)
    many = [FeedFilter(program_id=f"MANY{number}") for number in range(5)]
    await asyncio.gather(*(shared.read("many", one, at(1), 10) for one in many), shared.read("one", ALL, at(1), 10))
    assert entries.reads.index(("NURSES", 1)) == 1
    assert len(entries.reads) == 6


async def test_many_answers_do_not_hold_up_another_key() -> None:
    """Of one key some requests at a time are answered, with the other keys in between, and all by one read."""
    entries = Entries(3)
    shared = SharedReads(entries.read)
    answered: list[str] = []

    async def follow(key_id: str) -> None:
        await shared.read(key_id, ALL, at(1), 10)
        answered.append(key_id)

    await asyncio.gather(*(follow("many") for _ in range(25)), follow("one"))
    assert answered.index("one") == ANSWERED_AT_ONCE
    assert len(answered) == 26
    assert len(entries.reads) == 2


async def test_a_read_that_has_begun_is_not_joined() -> None:
    """It may have begun before the entry was committed that the request was woken for."""
    entries = Entries()
    shared = SharedReads(entries.read)
    first = asyncio.create_task(shared.read("key", ALL, at(1), 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(entries.reads) == 1
    await asyncio.gather(first, shared.read("key", ALL, at(1), 10))
    assert entries.reads == [("NURSES", 1)] * 2


async def test_a_caller_that_goes_takes_nothing_from_the_others() -> None:
    """An error is everybody's who shares the read."""

    async def fail(*_: object) -> FeedPart:
        raise Unavailable

    entries = Entries()
    shared = SharedReads(entries.read)
    going, staying = (asyncio.create_task(shared.read("key", ALL, at(1), 10)) for _ in range(2))
    await asyncio.sleep(0)
    going.cancel()
    assert (await staying).position == at(9)
    failing = SharedReads(fail)
    results = await asyncio.gather(*(failing.read("key", ALL, at(1), 10) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 2
    with pytest.raises(Unavailable):
        await failing.read("key", ALL, at(1), 10)
