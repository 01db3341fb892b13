"""The subscription_checkpoint table: taking the next feed entries for a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec

from learning_hub.model.feed import END, Position
from learning_hub.model.matching import Entry
from learning_hub.store import feed
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("checkpoints")


class Taken(msgspec.Struct, frozen=True):
    """The next entries of a subscription: *entries* concern it, *reached* is where its place moves to."""

    entries: list[Entry]
    reached: Position
    is_end: bool


async def behind(database: Database) -> list[str]:
    """Ids of subscriptions with entries to take."""
    return [row["subscription_id"] for row in await database.fetch(queries.behind)]


async def lock_checkpoint(connection: Connection, subscription_id: str, *, wait: bool) -> Position | None:
    """
    The subscription's place, for this transaction alone.

    Returns:
        None when another process is at it and *wait* is false, or when there is no such subscription.
    """
    query = queries.wait_for_checkpoint if wait else queries.lock_checkpoint
    row = await connection.fetchrow(query, subscription_id)
    return Position(row["epoch"], row["xid"], row["seq"]) if row else None


async def take_next(connection: Connection, subscription_id: str, place: Position, limit: int) -> Taken:
    """Up to *limit* entries after *place* that can no longer be overtaken."""
    horizon = await connection.fetchrow(feed.queries.horizon)
    assert horizon is not None  # noqa: S101 - a SELECT without FROM has one row
    return await _take(connection, subscription_id, place, Position(horizon["epoch"], horizon["xid"], 0), limit)


async def take_ahead(connection: Connection, subscription_id: str, after: Position, limit: int) -> Taken:
    """Up to *limit* committed entries after *after*, also those that others may still come before."""
    return await _take(connection, subscription_id, after, END, limit)


async def _take(connection: Connection, subscription_id: str, place: Position, end: Position, limit: int) -> Taken:
    rows = await connection.fetch(
        queries.next_entries, subscription_id, place.epoch, place.xid, place.seq, end.epoch, end.xid, limit
    )
    reached = _position(rows[-1]) if len(rows) == limit else max(place, end)
    return Taken([_read(row) for row in rows if not row["is_before_start"]], reached, len(rows) < limit)


async def move_checkpoint(connection: Connection, subscription_id: str, reached: Position) -> None:
    """The subscription has read up to *reached*."""
    await connection.execute(queries.move_checkpoint, subscription_id, reached.epoch, reached.xid, reached.seq)


async def entries_of_bucket(
    connection: Connection, program_id: str, day: date, after: Position, limit: int
) -> tuple[list[Entry], Position]:
    """Up to *limit* entries of a date bucket, and where to read on."""
    rows = await connection.fetch(queries.entries_of_bucket, program_id, day, after.epoch, after.xid, after.seq, limit)
    return [_read(row) for row in rows], _position(rows[-1]) if rows else after


async def entries_of_events(connection: Connection, program_id: str, uuids: Sequence[UUID]) -> list[Entry]:
    """The entries of these events: each event, and its withdrawal where there is one."""
    return [_read(row) for row in await connection.fetch(queries.entries_of_events, program_id, list(uuids))]


async def open_transactions(database: Database, over_seconds: float = 60) -> list[str]:
    """A sentence for each writing transaction on the server that has held the feed back for long."""
    return [
        f"A transaction of {row['application']} in database {row['database']} (process {row['pid']}) has been open for "
        f"{row['seconds']} seconds; nothing committed since it began is visible in the feed until it ends."
        for row in await database.fetch(queries.open_transactions, over_seconds)
    ]


def _position(row: Row) -> Position:
    return Position(row["epoch"], row["xid"], row["seq"])


def _read(row: Row) -> Entry:
    return Entry(
        program_id=row["program_id"],
        event_uuid=row["event_uuid"],
        is_withdrawal=row["is_withdrawal"],
        seq=row["seq"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        event_type=row["event_type"],
        category=row["category_value"],
    )
