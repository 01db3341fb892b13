"""The delivery table as a queue: leases, and outcomes that name their lease."""

from __future__ import annotations

from uuid import UUID

from learning_hub.model.delivery import Claimed, Settlement
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import DeliveryKey, new_uuid
from learning_hub.model.json_values import write_json
from learning_hub.store.database import Database, Row, changed
from learning_hub.store.queries import Queries

queries = Queries("queue")


async def claim(database: Database, limit: int, lease_seconds: float) -> list[Claimed]:
    """
    Lease up to *limit* due deliveries for *lease_seconds* and begin an attempt for each.

    At most one of a source record at a subscription, the oldest first; at most as many at a subscriber as it takes
    at once, over all processes. What was overtaken by a newer one that is delivered is superseded instead.
    """
    while True:
        async with database.transaction() as connection:
            await connection.execute(queries.lock_claims)
            rows = await connection.fetch(queries.claim, new_uuid(), limit, lease_seconds, CAUSES["superseded"].meaning)
        claimed = [_claimed(row) for row in rows if row["delivery_uuid"] is not None]
        # Those superseded took places that others are waiting for.
        if claimed or not rows[0]["superseded"]:
            return claimed


async def settle(database: Database, claimed: Claimed, settlement: Settlement) -> bool:
    """Write down how a try ended; False when the lease was not the delivery's any more, and nothing changed."""
    async with database.connection() as connection:
        status = await connection.execute(
            queries.settle,
            claimed.key.program_id,
            claimed.key.delivery_uuid,
            claimed.lease_id,
            settlement.state,
            settlement.code,
            settlement.failure_class,
            settlement.message,
            settlement.due_utc,
            settlement.tries_used,
            settlement.record_id,
            claimed.attempt_number,
            _text(settlement.payload),
            _text(settlement.request),
            _text(settlement.response),
        )
    return changed(status) == 1


async def release_expired(database: Database, settle_seconds: float) -> int:
    """Take back what a worker held beyond its lease; it falls due again *settle_seconds* from now."""
    return await database.execute(queries.release_expired, settle_seconds, CAUSES["outcome_unknown"].meaning)


async def seconds_to_next(database: Database) -> float | None:
    """Seconds until the next delivery falls due; None when none is waiting for its time."""
    seconds: float | None = await database.fetchval(queries.next_due)
    return seconds


def _text(value: object) -> str | None:
    return None if value is None else write_json(value).decode()


def _claimed(row: Row) -> Claimed:
    uuid: UUID = row["delivery_uuid"]
    return Claimed(
        key=DeliveryKey(row["program_id"], uuid),
        lease_id=row["lease_id"],
        attempt_number=row["attempts"],
        started_utc=row["started_utc"],
        tries_used=row["tries_used"],
        action=row["action"],
        subscription_id=row["subscription_id"],
        subscriber_id=row["subscriber_id"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        event_uuid=row["event_uuid"],
        record_id=row["record_id"],
        tried_before=row["tried_before"],
    )
