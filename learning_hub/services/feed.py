"""The feed of a Program: read parts of it, and follow it without missing an entry."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, NamedTuple

from msgspec import Meta

from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, TooManyReaders, Unavailable, gathered
from learning_hub.model.event import FILTERS, Event, FieldFilters
from learning_hub.model.feed import BEGINNING, FeedFilter, Position, read_cursor
from learning_hub.model.ids import read_bucket
from learning_hub.model.pagination import Limit
from learning_hub.services.programs import need_program
from learning_hub.services.shared_reads import SharedReads
from learning_hub.store.database import Database
from learning_hub.store.feed import FeedPart, read_feed
from learning_hub.store.notifications import Notifications

READ_SECONDS = 1
# Entries committed while an older transaction is open become visible without a notification.
POLL_SECONDS = 0.5
# Requests of one key that wait for an entry.
MOST_WAITING = 100

PROGRAM_NEEDED = FieldError("ProgramId", "or EventDateBucket is needed with a key for several Programs")

# Confirms that a caller who has been waiting may still read.
Confirm = Callable[[], Awaitable[None]]

# Reads up to so many entries after a position.
ReadPart = Callable[[FeedFilter, Position, int], Awaitable[FeedPart]]


# Not kw_only, so that these come before the filters in the OpenAPI document: generated clients that take parameters by
# position follow its order, and a new filter must not move them.
class FeedScope(FieldFilters, frozen=True, rename="pascal"):
    """The bucket or the Program to read, and the filters by a field."""

    event_date_bucket: (
        Annotated[str, Meta(min_length=1, max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None
    ) = None
    program_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=25,
                description="Required, unless the bucket is given or the key has one Program.",
            ),
        ]
        | None
    ) = None


class FeedQuery(FeedScope, frozen=True, kw_only=True, rename="pascal"):
    """The filter of feed entries, and the position to read from."""

    created_since: (
        Annotated[datetime, Meta(description="CreatedUtc at or after this.", extra_json_schema={"format": "date-time"})]
        | None
    ) = None
    limit: Limit = 100
    cursor: (
        Annotated[str, Meta(min_length=1, max_length=500, description="NextCursor of the previous page.")] | None
    ) = None
    wait: Annotated[int, Meta(ge=0, le=30, description="Seconds to wait for an entry if the page would be empty.")] = 0


class FeedSlice(NamedTuple):
    """Entries of the feed, the position to read on from, and the position of the last of them."""

    items: list[Event]
    position: Position
    last: Position | None


class Feed:
    """Reads the feed."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications
        # The requests that wait for an entry, by key.
        self._waiting = Counter[str]()
        self._shared_reads = SharedReads(self._read_part)

    async def read_query(self, caller: Caller, query: FeedQuery) -> tuple[FeedFilter, Position]:
        """
        The filter of a query, and the position to begin at.

        Raises:
            NotAllowed: The key is not for the Program.
            InvalidFields: With every bad parameter.
        """
        errors: list[FieldError] = []
        feed_filter, position = None, BEGINNING
        with gathered(errors):
            feed_filter = await self._read_filter(caller, query)
        if query.cursor:
            with gathered(errors):
                position = read_cursor(query.cursor)
        if errors or feed_filter is None:
            raise InvalidFields(errors)
        return feed_filter, position

    async def wait_for(
        self,
        caller: Caller,
        feed_filter: FeedFilter,
        position: Position,
        limit: int,
        *,
        wait_seconds: float,
        confirm: Confirm,
    ) -> FeedSlice:
        """
        Up to *limit* entries after *position*; if none exist, those that arrive within *wait_seconds*.

        Args:
            caller: The reader.
            feed_filter: The filter of entries.
            position: The position to begin after.
            limit: The largest number of entries.
            wait_seconds: How long to wait for an entry; the result may be empty after that.
            confirm: Called while waiting; its error ends the wait.

        Raises:
            Unavailable: The hub is stopping, or the database is away.
            TooManyReaders: Too many requests of the same key wait already.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        may_wait = wait_seconds > 0
        read_part = partial(self._shared_reads.read, caller.key_id) if may_wait else self._read_part
        while True:
            seen = self._notifications.feed.count
            read = await self._read(feed_filter, position, limit, confirm, read_part)
            left = deadline - loop.time()
            if read.items or left <= 0 or self._notifications.is_closed:
                return read
            position = read.position
            with self._waiting_with(caller.key_id):
                await self._notifications.feed.wait(min(left, POLL_SECONDS), seen)
            await confirm()

    @contextmanager
    def _waiting_with(self, key_id: str) -> Iterator[None]:
        """Count a waiting request of a key, which may have no more than some of them."""
        if self._waiting[key_id] >= MOST_WAITING:
            raise TooManyReaders(retry_after_seconds=5)
        self._waiting[key_id] += 1
        try:
            yield
        finally:
            self._waiting[key_id] -= 1
            if not self._waiting[key_id]:
                del self._waiting[key_id]

    async def read(self, feed_filter: FeedFilter, position: Position, limit: int, *, confirm: Confirm) -> FeedSlice:
        """
        Entries after *position*, and the position to read on from: a full page, or all entries up to the feed's end.

        The end is the one at the time of the call. Entries that were stored by then and are held back by an older
        transaction, mostly for some milliseconds, are waited for, so that a publisher that has its response finds its
        event.

        If a filter skips so many entries that reading takes over a second, a page with any entries is returned as it
        is. An empty page means the end, or that a transaction stays open.
        """
        return await self._read(feed_filter, position, limit, confirm, self._read_part)

    async def _read(
        self, feed_filter: FeedFilter, position: Position, limit: int, confirm: Confirm, read_part: ReadPart
    ) -> FeedSlice:
        until = asyncio.get_running_loop().time() + READ_SECONDS
        items: list[Event] = []
        last: Position | None = None
        end: Position | None = None
        delays = (0.005 * 2**step for step in range(7))
        while True:
            part = await read_part(feed_filter, position, limit - len(items))
            items += part.events
            position, last = part.position, part.last or last
            if part.is_end:
                end = end or part.held_back
                delay = next(delays, None)
                if end is None or position > end or delay is None:
                    return FeedSlice(items, position, last)
                await asyncio.sleep(delay)
            if len(items) == limit or (items and asyncio.get_running_loop().time() >= until):
                return FeedSlice(items, position, last)
            if self._notifications.is_closed:
                raise Unavailable("The hub is stopping.")
            await confirm()

    async def _read_part(self, feed_filter: FeedFilter, position: Position, limit: int) -> FeedPart:
        return await read_feed(self._database, feed_filter, position, limit)

    async def _read_filter(self, caller: Caller, query: FeedQuery) -> FeedFilter:
        """The filter of *query*; the key must be for the Program, which must exist."""
        program_id = query.program_id
        named_in = "ProgramId"
        day = None
        if query.event_date_bucket is not None:
            bucket = read_bucket(query.event_date_bucket)
            if bucket is None:
                raise InvalidFields([FieldError("EventDateBucket", "must be {ProgramId}-LB-YYYYMMDD")])
            bucket_program, day = bucket
            if program_id not in (None, bucket_program):
                raise InvalidFields([FieldError("ProgramId", "is not the Program of the EventDateBucket")])
            program_id, named_in = bucket_program, "EventDateBucket"
        program_id = program_id or caller.only_program()
        if program_id is None:
            raise InvalidFields([PROGRAM_NEEDED])
        await need_program(self._database, caller, program_id, field=named_in)
        return FeedFilter(
            program_id=program_id,
            event_date=day,
            created_since=query.created_since,
            **{name: getattr(query, name) for name in FILTERS},
        )
