"""The delivery and attempt tables as users see them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Raw

from learning_hub.model.delivery import Attempt, Delivery, DeliverySummary, Requeued
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.failure import advice_for, class_of
from learning_hub.model.ids import DeliveryKey, delivery_id, event_id
from learning_hub.store import delivery_transitions, feed
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("deliveries")


async def page(database: Database, delivery_filter: DeliveryFilter, before: UUID | None, limit: int) -> list[Delivery]:
    """Up to *limit* deliveries, newest first, older than *before*."""
    async with database.transaction() as connection:
        await connection.execute(feed.queries.plan_in_index_order)
        rows = await _page_rows(connection, delivery_filter, before, limit, signature=delivery_filter.signature)
        if delivery_filter.signature is not None:
            # Categories without a template have signatures too, which another index serves.
            rows += await _page_rows(connection, delivery_filter, before, limit, category=delivery_filter.signature)
    return sorted(map(read_row, rows), key=lambda one: one.delivery_id[-36:], reverse=True)[:limit]


async def _page_rows(
    connection: Connection,
    delivery_filter: DeliveryFilter,
    before: UUID | None,
    limit: int,
    *,
    signature: str | None = None,
    category: str | None = None,
) -> list[Row]:
    """The rows of a page whose failure, or whose category without a template, has this signature."""
    filters = [
        delivery_filter.programs,
        delivery_filter.state,
        delivery_filter.class_,
        delivery_filter.code,
        delivery_filter.event.program_id if delivery_filter.event else None,
        delivery_filter.event.event_uuid if delivery_filter.event else None,
        before,
        limit,
        signature,
        category,
    ]
    if delivery_filter.subscription_id is None and delivery_filter.subscriber_id is None:
        return await connection.fetch(queries.page, *filters)
    of_whom = delivery_filter.subscription_id, delivery_filter.subscriber_id
    return await connection.fetch(queries.page_of_subscriptions, *filters, *of_whom)


async def find(database: Database | Connection, key: DeliveryKey) -> Delivery | None:
    row = await database.fetchrow(queries.find, key.program_id, key.delivery_uuid)
    return read_row(row) if row else None


async def attempts(database: Database, key: DeliveryKey) -> tuple[list[Attempt], Raw | None]:
    """The attempts of a delivery in order, and the payload of the newest attempt that has a payload."""
    rows = await database.fetch(queries.attempts, key.program_id, key.delivery_uuid)
    payloads = [row["payload"] for row in rows if row["payload"] is not None]
    return [_attempt(row) for row in rows], _raw(payloads[-1] if payloads else None)


async def count_open(database: Database, programs: list[str] | None = None) -> dict[str, int]:
    """
    How many deliveries are waiting, sending, retrying and parked; states without deliveries are left out.

    *programs* restricts the count to their deliveries.
    """
    return {row["state"]: row["deliveries"] for row in await database.fetch(queries.count_open, programs)}


async def count_no_template(database: Database) -> dict[tuple[str, str], int]:
    """How many deliveries were skipped because their category has no template, by subscriber and subscription."""
    rows = await database.fetch(queries.count_no_template)
    return {(row["subscriber_id"], row["subscription_id"]): row["deliveries"] for row in rows}


async def lock(connection: Connection, keys: Sequence[DeliveryKey]) -> None:
    """Lock these deliveries, all of one Program, until the transaction ends; waits for others that have locked them."""
    if keys:
        await connection.execute(queries.lock, keys[0].program_id, [key.delivery_uuid for key in keys])


async def requeue(
    connection: Connection, delivery_filter: DeliveryFilter, only: Sequence[DeliveryKey]
) -> list[Requeued]:
    """
    Put deliveries back into the queue: parked and retrying ones, and those that were skipped because their category
    had no template.

    Args:
        connection: A transaction.
        delivery_filter: Which of them.
        only: The deliveries, all of one Program. Those that another transaction has locked are left out.

    Returns:
        The previous state and the present delivery of each, by uuid. It is `waiting`, or `superseded` by a newer
        delivery.
    """
    if not only:
        return []
    rows = await delivery_transitions.requeue(connection, delivery_filter, only=only, after=None, limit=len(only))
    return [
        Requeued(
            before=DeliverySummary(row["subscription_id"], row["state_before"], row["code_before"]), now=read_row(row)
        )
        for row in sorted(rows, key=lambda row: row["delivery_uuid"])
    ]


class OfParticipant(msgspec.Struct, frozen=True):
    """Deliveries of one participant: those *parked* because its id is missing, and whether others are being sent."""

    parked: list[DeliveryKey]
    are_under_way: bool


async def of_participant(
    connection: Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str | None,
    publisher_participant_id: str,
) -> OfParticipant:
    """The parked deliveries of a participant at a subscriber, and whether others are being sent; None is any system."""
    rows = await connection.fetch(
        queries.of_participant, program_id, publisher_participant_id, publisher_system_id, subscriber_id
    )
    return OfParticipant(
        parked=[DeliveryKey(program_id, row["delivery_uuid"]) for row in rows if not row["is_under_way"]],
        are_under_way=any(row["is_under_way"] for row in rows),
    )


async def discard(connection: Connection, key: DeliveryKey, reason: str) -> Delivery | None:
    """Discard a delivery, so that it is not sent; None when it is being sent or finished."""
    row = await delivery_transitions.discard(connection, key, reason)
    return read_row(row) if row else None


def read_row(row: Row) -> Delivery:
    """A row of the delivery table as a Delivery."""
    code = row["code"]
    return Delivery(
        delivery_id=delivery_id(row["program_id"], row["delivery_uuid"]),
        event_id=event_id(row["program_id"], row["event_uuid"]),
        subscription_id=row["subscription_id"],
        subscriber_id=row["subscriber_id"],
        program_id=row["program_id"],
        action=row["action"],
        state=row["state"],
        code=code,
        # Deliveries that an earlier release skipped for a missing template have no class.
        class_=class_of(code) if code == "no_template" else row["class"],
        message=row["message"],
        advice=advice_for(code),
        attempts=row["attempts"],
        created_utc=row["created_utc"],
        next_try_utc=None if row["held"] else row["due_utc"],
        delivered_utc=row["delivered_utc"],
        confirmed_utc=row["confirmed_utc"],
        subscriber_record_id=row["subscriber_record_id"],
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        number=row["number"],
        started_utc=row["started_utc"],
        ended_utc=row["ended_utc"],
        code=row["code"],
        message=row["message"],
        request=_raw(row["request"]),
        response=_raw(row["response"]),
    )


def _raw(text: str | None) -> Raw | None:
    return None if text is None else Raw(text.encode())
