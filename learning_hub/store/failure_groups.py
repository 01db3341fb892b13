"""Groups of deliveries that failed for the same cause, and pauses that concern a person."""

from __future__ import annotations

from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.failure import advice_for
from learning_hub.model.failure_group import Example, Group, GroupPosition
from learning_hub.model.ids import delivery_id, event_id
from learning_hub.store import feed
from learning_hub.store.database import Database, Row
from learning_hub.store.queries import Queries

queries = Queries("failure_groups")


async def page(
    database: Database,
    filters: DeliveryFilter,
    after: GroupPosition | None,
    limit: int,
    *,
    pause_seconds: float,
) -> list[Group]:
    """
    Up to *limit* groups after a position: failures of the hub itself, then pauses, then the rest, each the largest
    first.

    Args:
        database: The hub's database.
        filters: Which deliveries are counted.
        after: Only groups after this position.
        limit: How many at most.
        pause_seconds: The seconds after which a pause is listed among the groups; one for refused credentials is listed
            at once.
    """
    position = (None,) * 7 if after is None else (
        after.rank, after.count, after.program_id, after.subscriber_id, after.subscription_id, after.code,
        after.signature,
    )  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(feed.queries.plan_for_these_values)
        rows = await connection.fetch(
            queries.page,
            filters.programs,
            filters.state,
            filters.class_,
            filters.code,
            filters.event.program_id if filters.event else None,
            filters.event.event_uuid if filters.event else None,
            filters.subscription_id,
            filters.subscriber_id,
            pause_seconds,
            filters.signature,
            *position[:6],
            limit,
            position[6],
        )
    return [_read(row) for row in rows]


def _read(row: Row) -> Group:
    program_id = row["program_id"]
    example = None
    if row["event_uuid"] is not None:
        example = Example(delivery_id(program_id, row["example_uuid"]), event_id(program_id, row["event_uuid"]))
    return Group(
        kind="pause" if row["rank"] == 1 else "failures",
        program_id=program_id,
        subscriber_id=row["subscriber_id"],
        subscription_id=row["subscription_id"] or None,
        code=row["code"],
        class_=row["class"],
        message=row["message"],
        advice=advice_for(row["code"]),
        signature=row["signature"] or None,
        count=row["count"],
        first_utc=row["first_utc"],
        last_utc=row["last_utc"],
        example=example,
    )
