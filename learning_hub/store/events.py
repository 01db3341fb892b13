"""The event table: appending to the feed, and reading it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec import Raw

from learning_hub.model.clock import to_utc
from learning_hub.model.event import Category, Event, LatestEntry, NewEvent, SourceKey, Verdict, bucket
from learning_hub.model.feed import Position
from learning_hub.model.ids import EventKey, event_id
from learning_hub.store.database import Connection, Database, InTheWay, Row
from learning_hub.store.queries import Queries

queries = Queries("events")


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """A new event on its way into the feed."""

    event: NewEvent
    event_uuid: UUID
    content_hash: bytes
    verdict: Verdict
    created_utc: datetime


class KeptAnswer(msgspec.Struct, frozen=True):
    """What an Idempotency-Key was answered with: *status* 201 or 200."""

    request_hash: bytes
    status: int
    event_uuid: UUID


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


async def closed_programs(connection: Connection, program_ids: Collection[str]) -> dict[str, str]:
    """Those of *program_ids* that take no events, and why not, in words that follow the field's name."""
    rows = await connection.fetch(queries.closed_programs, list(program_ids))
    return {
        row["program_id"]: "is not a known Program" if row["is_unknown"] else "is archived and takes no events"
        for row in rows
    }


async def latest_entries(connection: Connection, keys: Sequence[SourceKey]) -> list[LatestEntry | None]:
    """The newest entry of each source key, in the order of *keys*."""
    rows = await connection.fetch(
        queries.latest_entries,
        [key.program_id for key in keys],
        [key.publisher_event_id for key in keys],
        [key.publisher_system_id for key in keys],
        [key.event_type for key in keys],
    )
    found: list[LatestEntry | None] = [None] * len(keys)
    for row in rows:
        found[row["asked"] - 1] = LatestEntry(
            row["event_uuid"], row["version"], row["revision"], row["content_hash"], row["is_withdrawal"]
        )
    return found


async def append_events(connection: Connection, new: Sequence[Appended]) -> set[UUID]:
    """
    Append to the feed, in the order given.

    Returns:
        The uuids of those stored; the others lost a race for their version and must be judged again.
    """
    events = [item.event for item in new]
    rows = await connection.fetch(
        queries.append_events,
        [event.publisher_program_id for event in events],
        [item.event_uuid for item in new],
        [event.publisher_system_id for event in events],
        [event.publisher_event_id for event in events],
        [event.event_type for event in events],
        [item.verdict.version for item in new],
        [item.verdict.revision for item in new],
        [item.verdict.supersedes for item in new],
        [event.publisher_participant_id for event in events],
        [event.publisher_event_category.value if event.publisher_event_category else None for event in events],
        [event.publisher_event_category.label if event.publisher_event_category else None for event in events],
        [event.data.decode() for event in events],
        [event.event_start_utc for event in events],
        [event.event_end_utc for event in events],
        [item.content_hash for item in new],
        [item.created_utc for item in new],
    )
    return {row["event_uuid"] for row in rows}


async def append_withdrawal(database: Database, key: EventKey, at_utc: datetime) -> bool:
    """Withdraw an event; False when it is not the latest entry of its source key, or another writer was first."""
    try:
        async with database.transaction() as connection:
            row = await connection.fetchrow(queries.append_withdrawal, key.program_id, key.event_uuid, at_utc)
    except InTheWay:
        return False
    return row is not None


async def find_event(database: Database, key: EventKey) -> Event | None:
    """One event as it reads now, with WithdrawnUtc where it was withdrawn."""
    row = await database.fetchrow(queries.find_event, key.program_id, key.event_uuid)
    return read_row(row) if row else None


async def read_feed(
    database: Database, wanted: FeedFilter, after: Position, limit: int
) -> tuple[list[Event], Position]:
    """
    Up to *limit* entries after *after*, in feed order, none of which can still be overtaken.

    Returns:
        The entries, and the position to read on from: with fewer than *limit* that is the end of what is visible, so
        that a reader with a narrow filter does not look at the same entries again.
    """
    async with database.transaction() as connection:
        # The horizon first: what is finished before it is visible to every later statement.
        end = await connection.fetchrow(queries.horizon)
        assert end is not None  # noqa: S101 - a SELECT without FROM has one row
        # A source has few entries: those may be found by its id and sorted.
        in_order = wanted.publisher_event_id is None
        await connection.execute(queries.plan_in_feed_order if in_order else queries.plan_for_these_values)
        rows = await connection.fetch(
            queries.read_feed,
            wanted.program_id,
            after.epoch,
            after.xid,
            after.seq,
            end["epoch"],
            limit,
            wanted.event_date,
            wanted.publisher_system_id,
            wanted.event_type,
            wanted.category,
            wanted.publisher_participant_id,
            wanted.publisher_event_id,
            wanted.created_since,
            end["xid"],
        )
    if len(rows) == limit:
        next_position = Position(rows[-1]["epoch"], rows[-1]["xid"], rows[-1]["seq"])
    else:
        next_position = max(after, Position(end["epoch"], end["xid"], 0))
    return [read_row(row) for row in rows], next_position


async def find_kept_answers(
    connection: Connection, asked: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], KeptAnswer]:
    """What (Program, Idempotency-Key) pairs were answered with before."""
    rows = await connection.fetch(
        queries.find_idempotency_keys, [program for program, _ in asked], [key for _, key in asked]
    )
    return {asked[row["asked"] - 1]: KeptAnswer(row["request_hash"], row["status"], row["event_uuid"]) for row in rows}


async def keep_answers(connection: Connection, answers: Sequence[tuple[str, str, KeptAnswer]]) -> set[tuple[str, str]]:
    """Remember answers by (Program, Idempotency-Key); returns the pairs kept, without those just taken by others."""
    rows = await connection.fetch(
        queries.keep_idempotency_keys,
        [program for program, _, _ in answers],
        [key for _, key, _ in answers],
        [answer.request_hash for _, _, answer in answers],
        [answer.status for _, _, answer in answers],
        [answer.event_uuid for _, _, answer in answers],
    )
    return {answers[row["position"] - 1][:2] for row in rows}


async def forget_answers(connection: Connection, lost: Sequence[tuple[str, str]]) -> None:
    """Take back (Program, Idempotency-Key) pairs kept earlier in the same transaction."""
    await connection.execute(
        queries.forget_idempotency_keys, [program for program, _ in lost], [key for _, key in lost]
    )


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
        # The driver takes the first and the last instant of the calendar for infinities, and gives them back naive.
        event_start_utc=to_utc(row["event_start_utc"]),
        event_end_utc=None if row["event_end_utc"] is None else to_utc(row["event_end_utc"]),
        withdrawn_utc=msgspec.UNSET if withdrawn is None else withdrawn,
    )
