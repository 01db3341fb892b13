"""What was last sent of each source record, for comparing it with what the subscriber holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from learning_hub.model.json_values import read_json
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import Place, TimeRange
from learning_hub.store import feed
from learning_hub.store.database import Database, Row
from learning_hub.store.queries import Queries

queries = Queries("reconciliation")


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was last sent of a source record.

    *payload* is None where it is not known any more; *is_at_target* is false where it was sent before the Target was
    changed; *is_under_way* says that another delivery of the record is being sent, or may have been carried out.
    """

    event_uuid: UUID
    delivery_uuid: UUID
    publisher_system_id: str
    publisher_event_id: str
    record_id: str | None
    payload: dict[str, Any] | None
    is_at_target: bool
    is_under_way: bool


class Looked(NamedTuple):
    """An event that was looked at: its place, and what was sent where its source record was last sent with it."""

    place: Place
    sent: Sent | None


async def page(
    database: Database, subscription: Subscription, span: TimeRange, after: Place | None, limit: int
) -> list[Looked]:
    """Up to *limit* events of the subscription's Program in *span*, after a place; fewer are the end."""
    last = span.end_utc - timedelta(microseconds=1)
    # Before any event of the first day.
    place = after or Place(span.begin_utc.date(), 0, 0, 0)
    async with database.transaction() as connection:
        await connection.execute(feed.queries.plan_in_index_order)
        rows = await connection.fetch(
            queries.page,
            subscription.program_id,
            span.begin_utc.date(),
            last.date(),
            span.begin_utc,
            span.end_utc,
            place.day,
            place.epoch,
            place.xid,
            place.seq,
            limit,
            subscription.subscription_id,
        )
    return [_read(row) for row in rows]


async def confirm(database: Database, program_id: str, delivery_uuids: Sequence[UUID]) -> None:
    """Take down that the subscriber holds these as they were sent."""
    await database.execute(queries.confirm, program_id, list(delivery_uuids))


def _read(row: Row) -> Looked:
    place = Place(row["event_date"], row["epoch"], row["xid"], row["seq"])
    if row["delivery_uuid"] is None:
        return Looked(place, None)
    sent = Sent(
        event_uuid=row["event_uuid"],
        delivery_uuid=row["delivery_uuid"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        record_id=row["subscriber_record_id"],
        payload=None if row["payload"] is None else read_json(row["payload"]),
        is_at_target=row["is_at_target"],
        is_under_way=row["are_under_way"],
    )
    return Looked(place, sent)
