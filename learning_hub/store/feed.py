"""Reading the feed of a Program."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from learning_hub.model.event import Event
from learning_hub.model.feed import BEGINNING, Position
from learning_hub.store import events
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("feed")

# Some ten milliseconds of work for one statement.
LOOKED_AT = 20_000


class FeedPart(msgspec.Struct, frozen=True):
    """
    Some entries of the feed, and the place to read on from.

    With *is_end* that is the end of what is visible, so that a reader with a narrow filter does not look at the same
    entries again; without, more may follow, even where nothing was found. *last* is the place of the last one found.
    *held_back* is the newest entry of the Program that is committed but not visible yet, as an older transaction is
    still open.
    """

    found: list[Event]
    position: Position
    is_end: bool
    last: Position | None = None
    held_back: Position | None = None


class FeedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of a Program's feed are wanted; None is no restriction."""

    program_id: str
    event_date: date | None = None
    publisher_system_id: str | None = None
    event_type: str | None = None
    category: str | None = None
    publisher_participant_id: str | None = None
    publisher_event_id: str | None = None
    created_since: datetime | None = None

    @property
    def leaves_out_entries(self) -> bool:
        """Whether a reading that goes along an index meets entries that are not wanted."""
        in_no_index = (self.publisher_system_id, self.event_type, self.category, self.created_since)
        is_of_two_indexes = self.publisher_participant_id is not None and self.event_date is not None
        return is_of_two_indexes or any(value is not None for value in in_no_index)


async def read_feed(database: Database, wanted: FeedFilter, after: Position, limit: int) -> FeedPart:
    """
    Up to *limit* entries after *after*, in feed order, none of which can still be overtaken.

    Looks at no more than LOOKED_AT entries, so that no filter makes one statement read a whole feed. A source's are
    all looked at.
    """
    if full_page := await _full_page(database, wanted, after, limit):
        return full_page
    async with database.transaction() as connection:
        # The horizon first: what is finished before it is visible to every later statement.
        of_one_source = wanted.publisher_event_id is not None
        row = await connection.fetchrow(queries.horizon if of_one_source else queries.horizon_for_a_walk)
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        horizon = Position(row["epoch"], row["xid"], 0)
        if of_one_source:
            await connection.execute(queries.plan_for_these_values)
            rows = await connection.fetch(queries.read_source, *_asked(wanted, after, horizon, limit))
            reaches_end = len(rows) < limit
        else:
            if wanted.created_since and after == BEGINNING:
                after = await _start_of_days(connection, wanted.program_id, wanted.created_since.date(), horizon)
            looked_at = LOOKED_AT if wanted.leaves_out_entries else limit
            rows = await connection.fetch(_walk(wanted), *_asked(wanted, after, horizon, limit), looked_at)
            reaches_end = len(rows) < limit and not (rows and rows[-1]["is_last"])
        part = _part(rows, after, horizon, reaches_end=reaches_end)
        return await _with_held_back(connection, wanted.program_id, part)


async def _full_page(database: Database, wanted: FeedFilter, after: Position, limit: int) -> FeedPart | None:
    """The next page of a feed or a bucket without other filters, by one statement; None where it would not be full."""
    if wanted != FeedFilter(program_id=wanted.program_id, event_date=wanted.event_date):
        return None
    asked = (wanted.program_id, after.epoch, after.xid, after.seq, limit)
    if wanted.event_date is None:
        rows = await database.fetch(queries.full_page_of_feed, *asked)
    else:
        rows = await database.fetch(queries.full_page_of_bucket, *asked, wanted.event_date)
    if len(rows) < limit:
        return None
    last = _place(rows[-1])
    return FeedPart([events.read_row(row) for row in rows], last, is_end=False, last=last)


async def _with_held_back(connection: Connection, program_id: str, part: FeedPart) -> FeedPart:
    if not part.is_end:
        return part
    row = await connection.fetchrow(queries.held_back, program_id, part.position.epoch, part.position.xid)
    if row is None:
        return part
    return msgspec.structs.replace(part, held_back=_place(row))


def _walk(wanted: FeedFilter) -> str:
    """The query that goes along the narrowest index."""
    if wanted.publisher_participant_id is not None:
        return queries.read_participant
    return queries.read_feed if wanted.event_date is None else queries.read_bucket


def _asked(wanted: FeedFilter, after: Position, horizon: Position, limit: int) -> list[Any]:
    """What all queries of the feed are asked with."""
    return [
        wanted.program_id,
        after.epoch,
        after.xid,
        after.seq,
        horizon.epoch,
        horizon.xid,
        limit,
        wanted.event_date,
        wanted.publisher_system_id,
        wanted.event_type,
        wanted.category,
        wanted.publisher_participant_id,
        wanted.publisher_event_id,
        wanted.created_since,
    ]


def _part(rows: Sequence[Row], after: Position, horizon: Position, *, reaches_end: bool) -> FeedPart:
    wanted = [row for row in rows if row.get("is_wanted", True)]
    return FeedPart(
        found=[events.read_row(row) for row in wanted],
        position=max(after, horizon) if reaches_end else _place(rows[-1]),
        is_end=reaches_end,
        last=_place(wanted[-1]) if wanted else None,
    )


def _place(row: Row) -> Position:
    return Position(row["epoch"], row["xid"], row["seq"])


async def _start_of_days(connection: Connection, program_id: str, day: date, horizon: Position) -> Position:
    """The place before which nothing was created on *day* or later."""
    row = await connection.fetchrow(queries.start_of_days, program_id, day)
    return min(horizon, Position(row["epoch"], row["xid"], row["seq"] - 1)) if row else horizon
