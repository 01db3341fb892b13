"""The subscription_checkpoint table: the checkpoint of each subscription, and reading the feed from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec

from learning_hub.model.feed import END, Position
from learning_hub.model.matching import FeedEntry
from learning_hub.store import feed
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("checkpoints")


class NextEntries(msgspec.Struct, frozen=True):
    """
    Feed entries after a position.

    *entries* does not contain entries from before the subscription's StartFrom. *end* is the position after all entries
    that were read; *is_last* says that no more entries follow.
    """

    entries: list[FeedEntry]
    end: Position
    is_last: bool


async def behind(database: Database) -> list[str]:
    """Ids of subscriptions with visible entries after their checkpoint."""
    return [row["subscription_id"] for row in await database.fetch(queries.behind)]


async def lock_checkpoint(connection: Connection, subscription_id: str, *, wait: bool) -> Position | None:
    """
    The subscription's checkpoint, locked until the transaction ends.

    Returns:
        None when another process holds the lock and *wait* is false, or the subscription does not exist.
    """
    query = queries.wait_for_checkpoint if wait else queries.lock_checkpoint
    row = await connection.fetchrow(query, subscription_id)
    return Position(row["epoch"], row["xid"], row["seq"]) if row else None


async def read_next(connection: Connection, subscription_id: str, after: Position, limit: int) -> NextEntries:
    """Up to *limit* visible entries after *after*; no entry can appear before them later."""
    horizon = await connection.fetchrow(feed.queries.horizon)
    assert horizon is not None  # noqa: S101 - a SELECT without FROM has one row
    return await _read_entries(connection, subscription_id, after, Position(horizon["epoch"], horizon["xid"], 0), limit)


async def read_ahead(connection: Connection, subscription_id: str, after: Position, limit: int) -> NextEntries:
    """Up to *limit* committed entries after *after*, including entries before which others can still appear."""
    return await _read_entries(connection, subscription_id, after, END, limit)


async def _read_entries(
    connection: Connection, subscription_id: str, after: Position, horizon: Position, limit: int
) -> NextEntries:
    rows = await connection.fetch(
        queries.next_entries, subscription_id, after.epoch, after.xid, after.seq, horizon.epoch, horizon.xid, limit
    )
    end = _position(rows[-1]) if len(rows) == limit else max(after, horizon)
    return NextEntries([_read(row) for row in rows if not row["is_before_start"]], end, len(rows) < limit)


async def move_checkpoint(connection: Connection, subscription_id: str, checkpoint: Position) -> None:
    """Store *checkpoint* as the position up to which the subscription has read the feed."""
    await connection.execute(queries.move_checkpoint, subscription_id, checkpoint.epoch, checkpoint.xid, checkpoint.seq)


async def entries_of_bucket(
    connection: Connection, program_id: str, day: date, after: Position, limit: int
) -> tuple[list[FeedEntry], Position]:
    """Up to *limit* entries of a date bucket after *after*, and the position of the last."""
    rows = await connection.fetch(queries.entries_of_bucket, program_id, day, after.epoch, after.xid, after.seq, limit)
    return [_read(row) for row in rows], _position(rows[-1]) if rows else after


async def entries_of_events(connection: Connection, program_id: str, uuids: Sequence[UUID]) -> list[FeedEntry]:
    """The entries of these events: each event, and its withdrawal if it was withdrawn."""
    return [_read(row) for row in await connection.fetch(queries.entries_of_events, program_id, list(uuids))]


def _position(row: Row) -> Position:
    return Position(row["epoch"], row["xid"], row["seq"])


def _read(row: Row) -> FeedEntry:
    return FeedEntry(
        program_id=row["program_id"],
        event_uuid=row["event_uuid"],
        is_withdrawal=row["is_withdrawal"],
        seq=row["seq"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        event_type=row["event_type"],
        category=row["category_value"],
    )
