"""The statements of delivery_transitions.sql as functions: one for each that moves deliveries, with its messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import DeliveryKey, new_uuid
from learning_hub.model.matching import FeedEntry, Match
from learning_hub.model.subscription import Subscription
from learning_hub.store.database import Connection, Row
from learning_hub.store.queries import Queries

queries = Queries("delivery_transitions")

ARCHIVED_BEFORE_SENT = "The subscription was archived before this was sent."


async def insert(
    connection: Connection, subscription: Subscription, matches: Sequence[Match], action: str, *, as_replays: bool
) -> int:
    """Insert the deliveries of *matches* that do not exist yet; returns how many are new or taken up again."""
    entries = [match.entry for match in matches]
    rows = await connection.fetch(
        queries.insert_deliveries,
        subscription.subscription_id,
        subscription.subscriber_id,
        [entry.program_id for entry in entries],
        [new_uuid() for _ in entries],
        [entry.event_uuid for entry in entries],
        [entry.seq for entry in entries],
        [entry.publisher_system_id for entry in entries],
        [entry.publisher_event_id for entry in entries],
        [entry.event_type for entry in entries],
        [action] * len(entries),
        ["skipped" if match.effect == "skip" else "waiting" for match in matches],
        [match.code for match in matches],
        [match.message for match in matches],
        not subscription.is_realtime,
        as_replays,
        [CAUSES[match.code].failure_class if match.code else None for match in matches],
    )
    return len(rows)


async def supersede(connection: Connection, subscription_id: str, entries: Sequence[FeedEntry]) -> None:
    """Supersede the unsent deliveries of the source records of *entries* that have a newer revision."""
    records = {(entry.program_id, entry.publisher_event_id, entry.publisher_system_id) for entry in entries}
    programs, event_ids, systems = zip(*sorted(records), strict=True)
    await connection.execute(
        queries.supersede,
        subscription_id,
        list(programs),
        list(event_ids),
        list(systems),
        CAUSES["superseded"].meaning,
    )


async def skip_withdrawn(
    connection: Connection, subscription_id: str, entries: Sequence[FeedEntry], action: str
) -> None:
    """Skip the deliveries with this action of the withdrawn events that *entries* name."""
    await connection.execute(
        queries.skip_withdrawn,
        subscription_id,
        [entry.program_id for entry in entries],
        [entry.event_uuid for entry in entries],
        CAUSES["withdrawn"].meaning,
        action,
    )


async def skip_already_withdrawn(
    connection: Connection, subscription_id: str, program_id: str, event_uuids: Sequence[UUID]
) -> None:
    """Skip the deliveries of those of these events that are withdrawn."""
    await connection.execute(
        queries.skip_already_withdrawn, subscription_id, program_id, list(event_uuids), CAUSES["withdrawn"].meaning
    )


async def skip_reopened(connection: Connection, subscription_id: str, reopenings: Sequence[FeedEntry]) -> None:
    """Skip the unsent deliveries of the source records that *reopenings* reopen."""
    await connection.execute(
        queries.skip_reopened,
        subscription_id,
        [entry.program_id for entry in reopenings],
        [entry.publisher_event_id for entry in reopenings],
        [entry.publisher_system_id for entry in reopenings],
        [entry.seq for entry in reopenings],
        CAUSES["reopened"].meaning,
    )


async def hold(
    connection: Connection, subscription_id: str, change_number: int, *, from_utc: datetime | None, limit: int
) -> list[Row]:
    """Hold up to *limit* unsent deliveries of a subscription, by due time; not those released since its last change."""
    return await connection.fetch(queries.hold, subscription_id, change_number, from_utc, limit)


async def release_held(connection: Connection, subscription_id: str, *, after: UUID, limit: int) -> list[Row]:
    """Release up to *limit* held deliveries of a subscription, by uuid."""
    return await connection.fetch(queries.release_held, subscription_id, after, limit)


async def release_for_run(
    connection: Connection,
    run_id: str,
    program_id: str,
    subscription_ids: Sequence[str],
    *,
    only_started: bool,
    after: UUID,
    limit: int,
) -> list[UUID]:
    """Release up to *limit* deliveries after a uuid that wait for a run at these subscriptions; returns them."""
    rows = await connection.fetch(
        queries.release_for_run, run_id, program_id, list(subscription_ids), only_started, after, limit
    )
    return [row["delivery_uuid"] for row in rows]


async def claim(
    connection: Connection, *, most: int, most_batched: int, lease_seconds: float, worker: int | None
) -> list[Row]:
    """Lease due deliveries. The first row also has the number given up, and has no delivery if none was leased."""
    return await connection.fetch(
        queries.claim,
        new_uuid(),
        lease_seconds,
        worker,
        most,
        most_batched,
        CAUSES["withdrawn"].meaning,
        CAUSES["reopened"].meaning,
        CAUSES["superseded"].meaning,
    )


async def complete(connection: Connection, completions: Sequence[tuple[object, ...]]) -> list[Row]:
    """Complete the deliveries whose leases are still those of *completions*, which hold the values of the statement."""
    return await connection.fetch(queries.complete, *zip(*completions, strict=True))


async def release_expired(
    connection: Connection, settle_seconds: float, steps_seconds: Sequence[float]
) -> list[DeliveryKey]:
    """Release the deliveries of workers that are gone; returns their keys."""
    rows = await connection.fetch(
        queries.release_expired, settle_seconds, CAUSES["outcome_unknown"].meaning, list(steps_seconds)
    )
    return [DeliveryKey(row["program_id"], row["delivery_uuid"]) for row in rows]


async def recheck_failed(connection: Connection, failed: Sequence[DeliveryKey]) -> None:
    """Apply to these deliveries, whose attempts failed, the changes that happened while they were being sent."""
    await connection.execute(
        queries.recheck_failed,
        [key.program_id for key in failed],
        [key.delivery_uuid for key in failed],
        CAUSES["withdrawn"].meaning,
        CAUSES["reopened"].meaning,
        CAUSES["archived"].meaning,
        CAUSES["superseded"].meaning,
    )


async def requeue(
    connection: Connection,
    filters: DeliveryFilter,
    *,
    only: Sequence[DeliveryKey] | None,
    after: UUID | None,
    limit: int,
) -> list[Row]:
    """Put deliveries back into the queue; returns them with their previous state and code."""
    return await connection.fetch(
        queries.requeue,
        filters.programs,
        filters.state,
        filters.subscription_id,
        filters.subscriber_id,
        filters.class_,
        filters.code,
        only[0].program_id if only else None,
        [key.delivery_uuid for key in only] if only else None,
        limit,
        filters.event.program_id if filters.event else None,
        filters.event.event_uuid if filters.event else None,
        CAUSES["superseded"].meaning,
        after,
        filters.signature,
    )


async def discard(connection: Connection, key: DeliveryKey, reason: str) -> Row | None:
    """Discard a delivery; None if it is being sent or in another final state."""
    return await connection.fetchrow(queries.discard, key.program_id, key.delivery_uuid, reason)


async def discard_archived(
    connection: Connection, subscription_id: str, *, after: UUID, from_utc: datetime | None, limit: int
) -> list[Row]:
    """Discard up to *limit* held and *limit* other unsent deliveries of a subscription that was archived."""
    return await connection.fetch(
        queries.discard_archived, subscription_id, after, from_utc, limit, ARCHIVED_BEFORE_SENT
    )


async def discard_many(connection: Connection, program_id: str, uuids: Sequence[UUID], reason: str) -> list[Row]:
    """Discard those of these deliveries that are parked or skipped; returns them."""
    return await connection.fetch(queries.discard_many, program_id, list(uuids), reason)
