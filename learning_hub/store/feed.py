"""Reading the feed of a Program."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from learning_hub.model.event import SCANNED_FILTERS, Event
from learning_hub.model.feed import BEGINNING, FeedFilter, Position
from learning_hub.store import events
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("feed")

# About ten milliseconds of work for one statement.
MOST_EXAMINED = 20_000


class FeedPart(msgspec.Struct, frozen=True):
    """
    Some entries of the feed, and the position to read on from.

    If *is_end* is true, the position is the end of the visible feed, so that a reader with a narrow filter does not
    examine the same entries again. Otherwise more entries may follow, even if *events* is empty. *last* is the position
    of the last of *events*. *held_back* is the position of the Program's newest entry that is committed but not visible
    yet, because an older transaction is still open.
    """

    events: list[Event]
    position: Position
    is_end: bool
    last: Position | None = None
    held_back: Position | None = None


async def read_feed(database: Database, spec: FeedFilter, after: Position, limit: int) -> FeedPart:
    """
    Up to *limit* entries after *after*, in feed order; no entry can appear between them later.

    A call examines at most MOST_EXAMINED entries, so that no filter makes one statement read a whole feed. With a
    filter by PublisherEventId, all entries of that id are examined.
    """
    if full_page := await _full_page(database, spec, after, limit):
        return full_page
    async with database.transaction() as connection:
        # The horizon is read first: transactions before it have ended, so every later statement sees them.
        of_one_source = spec.publisher_event_id is not None
        row = await connection.fetchrow(queries.horizon if of_one_source else queries.horizon_for_a_walk)
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        horizon = Position(row["epoch"], row["xid"], 0)
        if after > horizon:
            # A cursor of a life of the database that this one knows nothing of: no position here is as late.
            after = Position(horizon.epoch, 0, 0)
        if of_one_source:
            await connection.execute(queries.plan_for_these_values)
            rows = await connection.fetch(queries.read_source, *parameters(spec, after, horizon, limit))
            reaches_end = len(rows) < limit
        else:
            if spec.created_since and after == BEGINNING:
                after = await _start_of_days(connection, spec.program_id, spec.created_since.date(), horizon)
            most = MOST_EXAMINED if _leaves_out_entries(spec) else limit
            rows = await connection.fetch(_walk(spec), *parameters(spec, after, horizon, limit, most))
            reaches_end = len(rows) < limit and not (rows and rows[-1]["is_last"])
        part = _part(rows, after, horizon, reaches_end=reaches_end)
        return await _with_held_back(connection, spec.program_id, part)


async def _full_page(database: Database, spec: FeedFilter, after: Position, limit: int) -> FeedPart | None:
    """The next page of a feed or bucket without other filters, by one statement; None if the page would not be full."""
    if spec != FeedFilter(program_id=spec.program_id, event_date=spec.event_date):
        return None
    parameters = (spec.program_id, after.epoch, after.xid, after.seq, limit)
    if spec.event_date is None:
        rows = await database.fetch(queries.full_page_of_feed, *parameters)
    else:
        rows = await database.fetch(queries.full_page_of_bucket, *parameters, spec.event_date)
    if len(rows) < limit:
        return None
    last = _position(rows[-1])
    return FeedPart([events.read_row(row) for row in rows], last, is_end=False, last=last)


async def _with_held_back(connection: Connection, program_id: str, part: FeedPart) -> FeedPart:
    if not part.is_end:
        return part
    row = await connection.fetchrow(queries.held_back, program_id, part.position.epoch, part.position.xid)
    if row is None:
        return part
    return msgspec.structs.replace(part, held_back=_position(row))


def _walk(spec: FeedFilter) -> str:
    """The query that reads along the narrowest index."""
    if spec.publisher_participant_id is not None:
        return queries.read_participant
    return queries.read_feed if spec.event_date is None else queries.read_bucket


def _leaves_out_entries(spec: FeedFilter) -> bool:
    """Whether the index contains entries that do not pass the filters."""
    uses_two_indexes = spec.publisher_participant_id is not None and spec.event_date is not None
    return uses_two_indexes or any(value is not None for value in (*_scanned(spec), spec.created_since))


def _scanned(spec: FeedFilter) -> list[Any]:
    """The values of the filters that are compared entry by entry, in the order of `{event_filters}`."""
    return [getattr(spec, name) for name in SCANNED_FILTERS]


def parameters(
    spec: FeedFilter, after: Position, horizon: Position, limit: int, most_examined: int | None = None
) -> list[Any]:
    """The parameters of a query of `_walk`; without *most_examined*, those of `read_source`."""
    return [
        spec.program_id,
        after.epoch,
        after.xid,
        after.seq,
        horizon.epoch,
        horizon.xid,
        limit,
        spec.event_date,
        spec.created_since,
        spec.publisher_participant_id,
        spec.publisher_event_id,
        *([] if most_examined is None else [most_examined]),
        *_scanned(spec),
    ]


def _part(rows: Sequence[Row], after: Position, horizon: Position, *, reaches_end: bool) -> FeedPart:
    passing = [row for row in rows if row.get("passes", True)]
    return FeedPart(
        events=[events.read_row(row) for row in passing],
        position=max(after, horizon) if reaches_end else _position(rows[-1]),
        is_end=reaches_end,
        last=_position(passing[-1]) if passing else None,
    )


def _position(row: Row) -> Position:
    return Position(row["epoch"], row["xid"], row["seq"])


async def _start_of_days(connection: Connection, program_id: str, day: date, horizon: Position) -> Position:
    """The position before which no entry was created on *day* or later."""
    row = await connection.fetchrow(queries.start_of_days, program_id, day)
    return min(horizon, Position(row["epoch"], row["xid"], row["seq"] - 1)) if row else horizon
