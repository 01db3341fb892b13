"""The delivery table as a queue: leases, and outcomes that name their lease."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from learning_hub.model.clock import now
from learning_hub.model.delivery import Claimed, Settlement
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import DeliveryKey, new_uuid
from learning_hub.model.json_values import write_json
from learning_hub.store.database import Connection, Database, Row, changed
from learning_hub.store.queries import Queries

queries = Queries("queue")


async def claim(database: Database, limit: int, lease_seconds: float, *, worker: int | None = None) -> list[Claimed]:
    """
    Lease up to *limit* due deliveries for *lease_seconds* and begin an attempt for each.

    At most one of a source record at a subscription, the oldest first, and none while an earlier try of the record may
    still be carried out; at most as many at a subscriber as it takes at once, over all processes. What was withdrawn,
    reopened or overtaken meanwhile is given up instead. *worker* is the number of the caller's presence: when that
    ends, the leases end with it; None leaves it to time alone.
    """
    while True:
        async with database.transaction() as connection:
            await connection.execute(queries.lock_claims)
            rows = await connection.fetch(
                queries.claim,
                new_uuid(),
                limit,
                lease_seconds,
                CAUSES["superseded"].meaning,
                worker,
                CAUSES["withdrawn"].meaning,
                CAUSES["reopened"].meaning,
            )
        claimed = [_claimed(row) for row in rows if row["delivery_uuid"] is not None]
        # Those given up took places that others are waiting for.
        if claimed or not rows[0]["given_up"]:
            return claimed


async def settle(database: Database, claimed: Claimed, settlement: Settlement) -> bool:
    """
    Write down how a try ended; False when the lease was not the delivery's any more, and nothing changed.

    A failed one is not tried again when its event was withdrawn or replaced, or its subscription archived, while it
    was being sent.
    """
    async with database.connection() as connection:
        status = await connection.execute(
            queries.settle,
            claimed.key.program_id,
            claimed.key.delivery_uuid,
            claimed.lease_id,
            settlement.state,
            settlement.code,
            settlement.failure_class,
            _storable(settlement.message),
            # As seconds: whose clock is how late does not matter then.
            None if settlement.due_utc is None else max(0.0, (settlement.due_utc - now()).total_seconds()),
            settlement.tries_used,
            _storable(settlement.record_id),
            claimed.attempt_number,
            _text(settlement.payload),
            _text(settlement.request),
            _text(settlement.response),
            settlement.in_doubt,
            settlement.doubt_seconds,
        )
        # A statement of its own: what it does not see yet comes after the above, and sees that itself.
        if settlement.state in ("retrying", "parked"):
            await _step_back(connection, [claimed.key])
    return changed(status) == 1


async def release_expired(database: Database, settle_seconds: float, steps_seconds: Sequence[float]) -> int:
    """
    Take back what a worker held that is gone, or beyond its lease; returns how many deliveries.

    Each is tried again by the schedule *steps_seconds*, and not before *settle_seconds* from now; parked when the
    schedule is used up, so that one that kills its worker each time comes to an end.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(
            queries.release_expired, settle_seconds, CAUSES["outcome_unknown"].meaning, list(steps_seconds)
        )
        if rows:
            await _step_back(connection, [DeliveryKey(row["program_id"], row["delivery_uuid"]) for row in rows])
    return len(rows)


async def seconds_to_next(database: Database) -> float | None:
    """Seconds until the next delivery falls due; None when none is waiting for its time."""
    seconds: float | None = await database.fetchval(queries.next_due)
    return seconds


async def _step_back(connection: Connection, failed: Sequence[DeliveryKey]) -> None:
    await connection.execute(
        queries.step_back,
        [key.program_id for key in failed],
        [key.delivery_uuid for key in failed],
        CAUSES["withdrawn"].meaning,
        CAUSES["superseded"].meaning,
        CAUSES["archived"].meaning,
        CAUSES["reopened"].meaning,
    )


def _storable(text: str | None) -> str | None:
    """*text* as PostgreSQL takes it: subscribers may say anything, and must not keep a delivery from being settled."""
    if text is None:
        return None
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


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
