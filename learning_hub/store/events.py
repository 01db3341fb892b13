"""The event table: appending entries to the feed, and finding single events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
from asyncpg.pgproto import pgproto
from msgspec import Raw

from learning_hub.model.clock import to_utc
from learning_hub.model.event import (
    Category,
    Classification,
    Event,
    EventDetail,
    LatestEntry,
    SourceKey,
    bucket,
    event_tag,
)
from learning_hub.model.ids import EventKey, event_id, new_uuid_bytes
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.store.database import Connection, Database, Row, copy_rows
from learning_hub.store.driver_errors import InTheWay
from learning_hub.store.event_columns import COLUMNS
from learning_hub.store.queries import Queries

queries = Queries("events")

FIRST = Classification("new")
_COPIED = (
    "event_uuid", "content_hash", *COLUMNS, "seq", "epoch", "version", "revision", "created_utc", "event_date",
)  # fmt: skip
# By code points, which is also the order of the collation "C".
_KEY_ORDER = itemgetter(*map(_COPIED.index, ("program_id", "publisher_event_id", "publisher_system_id", "event_type")))


class Appended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A classified event to append to the feed; it is created now unless *created_utc* says otherwise."""

    event: ReceivedEvent
    event_uuid: UUID
    classification: Classification
    created_utc: datetime | None = None


async def latest_entries(connection: Connection, keys: Sequence[SourceKey]) -> list[LatestEntry | None]:
    """The newest entry of each source key, in the order of *keys*; None for a source key without entries."""
    rows = await connection.fetch(
        queries.latest_entries,
        [key.program_id for key in keys],
        [key.publisher_event_id for key in keys],
        [key.publisher_system_id for key in keys],
        [key.event_type for key in keys],
    )
    latest: list[LatestEntry | None] = [None] * len(keys)
    for row in rows:
        latest[row["key_number"] - 1] = LatestEntry(
            row["event_uuid"], row["version"], row["revision"], row["content_hash"], row["is_withdrawal"]
        )
    return latest


def new_uuids(count: int) -> list[UUID]:
    """New uuids of events. They are of the asyncpg class, which is created, sent and formatted ten times as fast."""
    return [pgproto.UUID(sixteen) for sixteen in new_uuid_bytes(count)]


async def present_time(connection: Connection) -> datetime:
    """The time by the clock of the database, by which events are created, whatever the clocks of the hubs show."""
    moment: datetime = await connection.fetchval(queries.present_time)
    return moment


async def append_first(
    database: Database, new: Mapping[UUID, ReceivedEvent], created_utc: datetime | None = None
) -> set[UUID]:
    """
    Append first events of sources to the feed, keyed by their new uuids, in the order given; committed at once.

    No two of them may be of the same source record. They are created now unless *created_utc* says otherwise.

    Returns:
        The uuids of events that were not stored: their source already has an entry, or their Program accepts no events.
    """
    received = list(new.values())
    hashes = [event.content_hash for event in received]
    rows = await database.fetch(queries.append_first, list(new), created_utc, hashes, *_column_values(received))
    return {row["event_uuid"] for row in rows}


async def copy_first(
    database: Database, program_id: str, new: Mapping[UUID, ReceivedEvent], created_utc: datetime | None = None
) -> bool:
    """
    Append first events of one Program as `append_first` does, all of them or none.

    Uses a bulk load, which costs the server half the time when they are many.

    Returns:
        Whether they are stored. They are not if a source already has an entry or the Program accepts no events.
    """
    received = list(new.values())
    hashes = [event.content_hash for event in received]
    try:
        async with database.transaction() as connection:
            # Locked before the epoch is read, as a statement that inserts does by itself: see store/epochs.py.
            await connection.execute(queries.lock_for_load)
            reserved = await connection.fetchrow(queries.reserve_positions, program_id, len(new))
            if reserved is None:
                return False
            at_utc = created_utc or reserved["reserved_utc"]
            same = (reserved["epoch"], FIRST.version, FIRST.revision, at_utc, at_utc.date())
            repeated = ([value] * len(new) for value in same)
            columns = (list(new), hashes, *_column_values(received), reserved["seqs"], *repeated)
            rows = sorted(zip(*columns, strict=True), key=_KEY_ORDER)
            await copy_rows(connection, "event", _COPIED, rows)
    except InTheWay:
        return False
    return True


async def append_events(connection: Connection, new: Sequence[Appended]) -> set[UUID]:
    """
    Append events to the feed, in the order given; an earlier version of a source comes before a later one.

    Returns:
        The uuids of stored events. The others lost a race for their version and must be classified again.
    """
    classifications = [item.classification for item in new]
    rows = await connection.fetch(
        queries.append_events,
        [item.event_uuid for item in new],
        [item.created_utc for item in new],
        [classification.version for classification in classifications],
        [classification.revision for classification in classifications],
        [classification.supersedes for classification in classifications],
        [item.event.content_hash for item in new],
        *_column_values([item.event for item in new]),
    )
    return {row["event_uuid"] for row in rows}


async def delete_appended(connection: Connection, appended: Sequence[Appended]) -> None:
    """Delete events that were appended in this transaction, before any other transaction can see them."""
    await connection.execute(
        queries.delete_appended,
        [item.event.publisher_program_id for item in appended],
        [item.event_uuid for item in appended],
    )


async def append_withdrawal(database: Database, key: EventKey, at_utc: datetime | None = None) -> bool:
    """
    Withdraw an event, now unless *at_utc* says otherwise.

    Returns:
        Whether it was; not if it is not the latest entry of its source key, or another writer was first.
    """
    try:
        async with database.transaction() as connection:
            row = await connection.fetchrow(queries.append_withdrawal, key.program_id, key.event_uuid, at_utc)
    except InTheWay:
        return False
    return row is not None


async def find_event(database: Database, key: EventKey) -> Event | None:
    """One event, with WithdrawnUtc if it was withdrawn."""
    row = await database.fetchrow(queries.find_event, key.program_id, key.event_uuid)
    return read_row(row) if row else None


class FoundEvent(msgspec.Struct, frozen=True):
    """An event with the revision that came after it, and the entity tag of its source."""

    event: EventDetail
    tag: str


async def find_event_detail(database: Database, key: EventKey) -> FoundEvent | None:
    """One event, with WithdrawnUtc if it was withdrawn, and what came after it."""
    row = await database.fetchrow(queries.find_event, key.program_id, key.event_uuid)
    if row is None:
        return None
    next_uuid = row["superseded_by"]
    superseded_by = event_id(key.program_id, next_uuid) if next_uuid else None
    return FoundEvent(
        EventDetail(**msgspec.structs.asdict(read_row(row)), superseded_by=superseded_by),
        event_tag(row["latest_uuid"], is_withdrawn=row["latest_is_withdrawal"]),
    )


async def existing(database: Database, program_id: str, event_uuids: Sequence[UUID]) -> set[UUID]:
    """Those of *event_uuids* that are events of the Program, withdrawn ones included."""
    return {row["event_uuid"] for row in await database.fetch(queries.existing, program_id, list(event_uuids))}


def _column_values(events: list[ReceivedEvent]) -> list[list[Any]]:
    """The stored values of *events*, as one list for each column, in the order of COLUMNS."""
    categories = [event.publisher_event_category for event in events]
    # Each column is named, because a loop over the declared fields takes twice as long.
    values: dict[str, list[Any]] = {
        "program_id": [event.publisher_program_id for event in events],
        "publisher_system_id": [event.publisher_system_id for event in events],
        "event_type": [event.event_type for event in events],
        "publisher_event_id": [event.publisher_event_id for event in events],
        "publisher_participant_id": [event.publisher_participant_id for event in events],
        "category_value": [category.value if category else None for category in categories],
        "category_label": [category.label if category else None for category in categories],
        "data": [str(event.publisher_event_data, "utf-8") for event in events],
        "event_start_utc": [event.event_start_utc for event in events],
        "event_end_utc": [event.event_end_utc for event in events],
    }
    return [values[column] for column in COLUMNS]


def read_row(row: Row) -> Event:
    """A row of the event table as an Event."""
    program_id = row["program_id"]
    supersedes, withdrawn = row["supersedes"], row["withdrawal_utc"]
    value = row["category_value"]
    return Event(
        event_id=event_id(program_id, row["event_uuid"]),
        event_date_bucket=bucket(program_id, row["event_date"]),
        created_utc=row["created_utc"],
        revision=row["revision"],
        supersedes=event_id(program_id, supersedes) if supersedes else None,
        publisher_program_id=program_id,
        publisher_system_id=row["publisher_system_id"],
        event_type=row["event_type"],
        publisher_event_id=row["publisher_event_id"],
        publisher_participant_id=row["publisher_participant_id"],
        publisher_event_category=None if value is None else Category(value, row["category_label"]),
        publisher_event_data=Raw(row["data"].encode()),
        # asyncpg treats the first and the last instant of the calendar as infinities, and returns them without a time
        # zone.
        event_start_utc=to_utc(row["event_start_utc"]),
        event_end_utc=None if row["event_end_utc"] is None else to_utc(row["event_end_utc"]),
        withdrawn_utc=msgspec.UNSET if withdrawn is None else withdrawn,
    )
