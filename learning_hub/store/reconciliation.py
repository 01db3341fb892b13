"""The record that was last sent for each source record, for comparison with the record at the subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from learning_hub.model.json_values import read_json
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import RangePosition, TimeRange
from learning_hub.store import feed
from learning_hub.store.database import Database, Row
from learning_hub.store.queries import Queries

queries = Queries("reconciliation")


class SentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    The record that was last sent for a source record.

    *payload* is None if it is no longer stored. *is_at_target* is false if the record was sent before the Target was
    changed. *is_under_way* says that another delivery of the source record is being sent, or may have been carried out.
    """

    event_uuid: UUID
    delivery_uuid: UUID
    publisher_system_id: str
    publisher_event_id: str
    record_id: str | None
    payload: dict[str, Any] | None
    is_at_target: bool
    is_under_way: bool


class RangeEvent(NamedTuple):
    """An event of a time range; *sent* is None unless its source record was last sent with this event."""

    position: RangePosition
    sent: SentRecord | None


async def page(
    database: Database, subscription: Subscription, time_range: TimeRange, after: RangePosition | None, limit: int
) -> list[RangeEvent]:
    """Up to *limit* events of the subscription's Program in *time_range*, after *after*; fewer at the end."""
    last = time_range.end_utc - timedelta(microseconds=1)
    # Without *after*, the position before all events of the first day.
    position = after or RangePosition(time_range.begin_utc.date(), 0, 0, 0)
    async with database.transaction() as connection:
        await connection.execute(feed.queries.plan_in_index_order)
        rows = await connection.fetch(
            queries.page,
            subscription.program_id,
            time_range.begin_utc.date(),
            last.date(),
            time_range.begin_utc,
            time_range.end_utc,
            position.day,
            position.epoch,
            position.xid,
            position.seq,
            limit,
            subscription.subscription_id,
        )
    return [_read(row) for row in rows]


async def confirm(database: Database, program_id: str, delivery_uuids: Sequence[UUID]) -> None:
    """Store that the subscriber holds the records of these deliveries as they were sent."""
    await database.execute(queries.confirm, program_id, list(delivery_uuids))


def _read(row: Row) -> RangeEvent:
    position = RangePosition(row["event_date"], row["epoch"], row["xid"], row["seq"])
    if row["delivery_uuid"] is None:
        return RangeEvent(position, None)
    sent = SentRecord(
        event_uuid=row["event_uuid"],
        delivery_uuid=row["delivery_uuid"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        record_id=row["subscriber_record_id"],
        payload=None if row["payload"] is None else read_json(row["payload"]),
        is_at_target=row["is_at_target"],
        is_under_way=row["are_under_way"],
    )
    return RangeEvent(position, sent)
