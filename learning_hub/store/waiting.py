"""What the database knows of the reason why deliveries wait."""

from __future__ import annotations

from collections.abc import Collection

from learning_hub.model.ids import DeliveryKey, delivery_id
from learning_hub.model.waiting import MOST_COUNTED, Waiting
from learning_hub.store import feed
from learning_hub.store.database import Database, Row
from learning_hub.store.queries import Queries

queries = Queries("waiting")


async def reasons(database: Database, keys: Collection[DeliveryKey]) -> dict[str, Waiting]:
    """What each of these deliveries waits for, by DeliveryId; those that do not wait are left out."""
    # Both statements see the same deliveries: one that was claimed between them would seem to be far down the queue.
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        # Values are known when the statements are planned, and the queue is read in the order of its index.
        await connection.execute(feed.queries.plan_in_index_order)
        rows = await connection.fetch(
            queries.reasons, [key.program_id for key in keys], [key.delivery_uuid for key in keys]
        )
        queued = [row for row in rows if row["is_free"] and not row["is_held"]]
        subscribers = {row["subscriber_id"] for row in queued}
        most = MOST_COUNTED // max(1, len(subscribers))
        positions = await connection.fetch(
            queries.positions, subscribers, [row["delivery_uuid"] for row in queued], most
        )
    before = {(row["program_id"], row["delivery_uuid"]): row["before"] for row in positions}
    return {
        delivery_id(row["program_id"], row["delivery_uuid"]): _read(
            row, before.get((row["program_id"], row["delivery_uuid"])), most
        )
        for row in rows
    }


def _read(row: Row, before: int | None, most_counted: int) -> Waiting:
    older = row["older_uuid"]
    return Waiting(
        subscription_id=row["subscription_id"],
        is_started=row["subscription_state"] == "started",
        is_archived=row["is_archived"],
        schedule=row["schedule"],
        time_zone=row["time_zone"],
        is_free=row["is_free"],
        is_held=row["is_held"],
        not_before_utc=row["not_before_utc"],
        older_delivery_id=delivery_id(row["program_id"], older) if older else None,
        older_state=row["older_state"],
        before=before,
        most_counted=most_counted,
    )
