"""What the database knows of the reason why deliveries wait."""

from __future__ import annotations

from collections.abc import Collection

from learning_hub.model.ids import DeliveryKey, delivery_id
from learning_hub.model.waiting import MOST_COUNTED, Waiting
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("waiting")


async def reasons(database: Database | Connection, keys: Collection[DeliveryKey]) -> dict[str, Waiting]:
    """What each of these deliveries waits for, by DeliveryId; those that do not wait are left out."""
    rows = await database.fetch(
        queries.reasons, [key.program_id for key in keys], [key.delivery_uuid for key in keys], MOST_COUNTED
    )
    return {delivery_id(row["program_id"], row["delivery_uuid"]): _read(row) for row in rows}


def _read(row: Row) -> Waiting:
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
        before=row["before"],
    )
