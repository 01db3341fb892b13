"""The event table: appending to the feed, and reading it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from msgspec import Raw

from learning_hub.model.clock import to_utc
from learning_hub.model.event import Category, Event, LatestEntry, NewEvent, SourceKey, Verdict, bucket
from learning_hub.model.feed import BEGINNING, Position
from learning_hub.model.ids import EventKey, event_id
from learning_hub.store.database import Connection, Database, InTheWay, Row
from learning_hub.store.queries import Queries

queries = Queries("events")

FIRST = Verdict("new")

# Some ten milliseconds of work for one statement.
LOOKED_AT = 20_000


class Appended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A new event on its way into the feed."""

    event: NewEvent
    event_uuid: UUID
    content_hash: bytes
    verdict: Verdict
    created_utc: datetime

    @classmethod
    def first(cls, event: NewEvent, event_uuid: UUID, content_hash: bytes, created_utc: datetime) -> Self:
        """The first event of its source."""
        return cls(
            event=event, event_uuid=event_uuid, content_hash=content_hash, verdict=FIRST, created_utc=created_utc
        )


class KeptAnswer(msgspec.Struct, frozen=True):
    """What an Idempotency-Key was answered with: *status* 201 or 200."""

    request_hash: bytes
    status: int
    event_uuid: UUID


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


async def append_first(database: Database, new: Sequence[Appended], created_utc: datetime) -> set[UUID]:
    """
    Append first events of sources to the feed, in the order given and one of each source record; committed at once.

    Returns:
        The uuids of those not stored: their source has an entry already, or their Program takes no events.
    """
    ids, content = _columns(new)
    return {row["event_uuid"] for row in await database.fetch(queries.append_first, *ids, *content, created_utc)}


async def append_events(connection: Connection, new: Sequence[Appended]) -> set[UUID]:
    """
    Append to the feed, in the order given; of one source the earlier version comes first.

    Returns:
        The uuids of those stored; the others lost a race for their version and must be judged again.
    """
    ids, content = _columns(new)
    verdicts = [item.verdict for item in new]
    rows = await connection.fetch(
        queries.append_events,
        *ids,
        [verdict.version for verdict in verdicts],
        [verdict.revision for verdict in verdicts],
        [verdict.supersedes for verdict in verdicts],
        *content,
        [item.created_utc for item in new],
    )
    return {row["event_uuid"] for row in rows}


def _columns(new: Sequence[Appended]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Column by column what names the events, and what they hold."""
    events = [item.event for item in new]
    categories = [event.publisher_event_category for event in events]
    ids: list[list[Any]] = [
        [event.publisher_program_id for event in events],
        [item.event_uuid for item in new],
        [event.publisher_system_id for event in events],
        [event.publisher_event_id for event in events],
        [event.event_type for event in events],
    ]
    content: list[list[Any]] = [
        [event.publisher_participant_id for event in events],
        [category.value if category else None for category in categories],
        [category.label if category else None for category in categories],
        [event.data.decode() for event in events],
        [event.event_start_utc for event in events],
        [event.event_end_utc for event in events],
        [item.content_hash for item in new],
    ]
    return ids, content


async def take_back(connection: Connection, appended: Sequence[Appended]) -> None:
    """Remove events that were appended earlier in the same transaction, before anybody saw them."""
    await connection.execute(
        queries.take_back,
        [item.event.publisher_program_id for item in appended],
        [item.event_uuid for item in appended],
    )


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


async def there(database: Database, program_id: str, event_uuids: Sequence[UUID]) -> set[UUID]:
    """Which of these events of a Program there are, withdrawn ones as well."""
    return {row["event_uuid"] for row in await database.fetch(queries.there, program_id, list(event_uuids))}


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
    return FeedPart([read_row(row) for row in rows], last, is_end=False, last=last)


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
        found=[read_row(row) for row in wanted],
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
