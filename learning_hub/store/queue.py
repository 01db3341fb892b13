"""The delivery table as a queue: leases, and outcomes that name their lease."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from learning_hub.model.circuit_breaker import SubscriberFailure
from learning_hub.model.claimed_delivery import ClaimedDelivery, ClaimSnapshot, Completion
from learning_hub.model.clock import now
from learning_hub.model.feed import Position
from learning_hub.model.ids import DeliveryKey
from learning_hub.model.json_values import write_json
from learning_hub.store import delivery_transitions, events, pauses
from learning_hub.store.database import Connection, Database, Row, storable
from learning_hub.store.queries import Queries

queries = Queries("queue")


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many deliveries a worker can take on.

    *most* limits deliveries of subscribers that get them one at a time, *most_batched* those of subscribers that get
    batches.
    """

    most: int
    most_batched: int = 0


async def claim(
    database: Database, room: Room, lease_seconds: float, *, worker: int | None = None
) -> list[ClaimedDelivery]:
    """
    Lease due deliveries for *lease_seconds*, as many as *room* allows, and begin an attempt for each.

    Of each source record at a subscription, at most one delivery is claimed: the oldest, and only when no earlier
    attempt for the record may still be carried out. Of each subscriber, at most as many are claimed as it takes at
    once, over all processes; of a paused subscriber, only its probe. Deliveries that were withdrawn, reopened or
    superseded meanwhile are given up instead. Those that are claimed are in the order of the feed. *worker* is the
    number of the caller's liveness lock, whose end also ends the leases; with None, leases end only by time.
    """
    while room.most > 0 or room.most_batched > 0:
        async with database.transaction() as connection:
            await connection.execute(queries.lock_claims)
            rows = await delivery_transitions.claim(
                connection,
                most=room.most,
                most_batched=room.most_batched,
                lease_seconds=lease_seconds,
                worker=worker,
            )
        claimed = [_claimed(row) for row in rows if row["delivery_uuid"] is not None]
        # Deliveries that were given up used the room of other due deliveries, so claim again.
        if claimed or not rows[0]["given_up"]:
            return sorted(claimed, key=lambda one: one.feed_position)
    return []


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """
    The result of completing an attempt.

    *is_ours* is False when the lease no longer belonged to the delivery, and nothing was changed. *completion* is what
    was written; a delivery whose subscriber is paused waits. *began_pause* means that the attempt showed that the
    subscriber is away or refuses the credentials; *lifted_pause*, that it is back.
    """

    is_ours: bool
    completion: Completion
    began_pause: bool = False
    lifted_pause: bool = False


async def complete(database: Database, claimed: ClaimedDelivery, completion: Completion) -> Completed:
    """
    Store how an attempt ended, and its effect on the circuit breaker of the subscriber.

    A failed delivery is not retried if its event was withdrawn or superseded, or its subscription archived, while it
    was being sent.
    """
    if completion.subscriber_failure is None:
        (completed,) = await complete_together(database, [(claimed, completion)])
        return completed
    async with database.transaction() as connection:
        completed = await _complete_and_pause(connection, claimed, completion, completion.subscriber_failure)
    await _recheck_all_failed(database, [(claimed, completed)])
    return completed


async def complete_together(
    database: Database, outcomes: Sequence[tuple[ClaimedDelivery, Completion]]
) -> list[Completed]:
    """Complete many deliveries as `complete` does, in their order; no completion may begin a pause."""
    async with database.connection() as connection:
        completed = await _complete(connection, outcomes)
    await _recheck_all_failed(database, [(claimed, one) for (claimed, _), one in zip(outcomes, completed, strict=True)])
    return completed


async def _recheck_all_failed(database: Database, outcomes: Sequence[tuple[ClaimedDelivery, Completed]]) -> None:
    failed = [
        claimed.key
        for claimed, completed in outcomes
        if completed.is_ours and completed.completion.state in ("waiting", "retrying", "parked")
    ]
    if failed:
        # The recheck has its own transaction. A change that it does not see is committed after the completion, and so
        # sees the completion itself.
        async with database.connection() as connection:
            await delivery_transitions.recheck_failed(connection, failed)


async def _complete_and_pause(
    connection: Connection, claimed: ClaimedDelivery, completion: Completion, failure: SubscriberFailure
) -> Completed:
    # The delivery is locked first, as in all other statements, so that two completions never wait for each other.
    key = claimed.key
    if await connection.fetchrow(queries.lock_lease, key.program_id, key.delivery_uuid, claimed.lease_id) is None:
        return Completed(is_ours=False, completion=completion)
    change = await pauses.note_failure(
        connection, claimed.subscriber_id, failure, began_utc=claimed.started_utc, is_probe=claimed.is_probe
    )
    (completed,) = await _complete(connection, [(claimed, completion.after_breaker(change, claimed))])
    return msgspec.structs.replace(completed, began_pause=change.is_opened)


async def _complete(connection: Connection, outcomes: Sequence[tuple[ClaimedDelivery, Completion]]) -> list[Completed]:
    written = [_written(claimed, completion) for claimed, completion in outcomes]
    rows = await delivery_transitions.complete(connection, written)
    paused_since = {row["position"] - 1: row["paused_since_utc"] for row in rows}
    lifted = {outcomes[position][0].subscriber_id: since for position, since in paused_since.items() if since}
    for subscriber_id, since_utc in lifted.items():
        await pauses.pull_forward(connection, subscriber_id, since_utc)
    return [
        Completed(
            is_ours=position in paused_since,
            completion=completion,
            lifted_pause=paused_since.get(position) is not None,
        )
        for position, (_, completion) in enumerate(outcomes)
    ]


def _written(claimed: ClaimedDelivery, completion: Completion) -> tuple[object, ...]:
    """The values of one completion, in the order of the parameters of the statement."""
    return (
        claimed.key.program_id,
        claimed.key.delivery_uuid,
        claimed.lease_id,
        completion.state,
        completion.code,
        completion.failure_class,
        storable(completion.message) if completion.message else None,
        _seconds_until_due(completion),
        completion.attempts_used,
        storable(completion.record_id) if completion.record_id else None,
        claimed.attempt_number,
        _text(completion.payload),
        _text(completion.request),
        _text(completion.response),
        completion.in_doubt,
        completion.doubt_seconds,
        completion.is_confirmed,
    )


def _seconds_until_due(completion: Completion) -> float | None:
    """The time until the delivery is due, in seconds, so that clocks of workers and database need not agree."""
    if completion.state == "waiting":
        return 0.0
    return None if completion.due_utc is None else max(0.0, (completion.due_utc - now()).total_seconds())


async def mark_sent(database: Database, batch: Sequence[ClaimedDelivery]) -> None:
    """Store that these are being sent to a subscriber that cannot be asked later whether it carried them out."""
    await database.execute(
        queries.mark_sent,
        [claimed.key.program_id for claimed in batch],
        [claimed.key.delivery_uuid for claimed in batch],
        [claimed.attempt_number for claimed in batch],
    )


async def release_expired(database: Database, settle_seconds: float, steps_seconds: Sequence[float]) -> int:
    """
    Release the deliveries of workers that are gone, or whose lease has expired; returns how many.

    Each is retried by the schedule *steps_seconds*, but not before *settle_seconds* from now. It is parked when the
    schedule is used up, so that a delivery that kills its worker each time is not retried for ever. It is also parked
    when it was sent to a subscriber that cannot be asked for the outcome.
    """
    async with database.connection() as connection:
        released = await delivery_transitions.release_expired(connection, settle_seconds, steps_seconds)
        if released:
            await delivery_transitions.recheck_failed(connection, released)
    return len(released)


async def seconds_to_next(database: Database) -> float | None:
    """Seconds until the next delivery is due; None when no delivery waits for its time."""
    seconds: float | None = await database.fetchval(queries.next_due)
    return seconds


def _text(value: object) -> str | None:
    return None if value is None else write_json(value).decode()


def _claimed(row: Row) -> ClaimedDelivery:
    uuid: UUID = row["delivery_uuid"]
    return ClaimedDelivery(
        key=DeliveryKey(row["program_id"], uuid),
        lease_id=row["lease_id"],
        attempt_number=row["attempts"],
        started_utc=row["started_utc"],
        attempts_used=row["tries_used"],
        action=row["action"],
        subscription_id=row["subscription_id"],
        subscriber_id=row["subscriber_id"],
        connector=row["connector"],
        is_probe=row["is_probe"],
        is_early=row["is_early"],
        publisher_system_id=row["publisher_system_id"],
        publisher_event_id=row["publisher_event_id"],
        event_uuid=row["event_uuid"],
        record_id=row["record_id"],
        tried_before=row["tried_before"],
        snapshot=None if row["revision"] is None else _snapshot(row),
    )


def _snapshot(row: Row) -> ClaimSnapshot:
    return ClaimSnapshot(
        event=events.read_row(row),
        feed_position=Position(row["epoch"], row["xid"], row["seq"]),
        program_name=row["program_name"],
        subscription_version=(row["subscription_changed_utc"], row["subscription_archived_utc"]),
        subscriber_version=(row["subscriber_changed_utc"], row["credentials_checked_utc"]),
        known_participant_id=row["subscriber_participant_id"],
    )
