"""The bulk_change table: changes of many deliveries that are carried out in batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.ids import DeliveryKey, EventKey, new_id
from learning_hub.model.run import BulkKind, Counts, SubscriptionChange
from learning_hub.model.subscription import Subscription
from learning_hub.store import delivery_transitions, feed, queue, runs, subscriptions
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("bulk_changes")

DELIVERIES_AT_ONCE = 1000
START = UUID(int=0)
# What is picked, without order and limit, which would cost a sort when it is counted.
MATCHING = queries.pick.partition(" ORDER BY")[0]
REPLACED = "Ended early: the subscription was stopped, started or archived again."


class Batch(msgspec.Struct, frozen=True):
    """A batch that was carried out: of which kind of change, and whether it was the last."""

    kind: BulkKind
    is_last: bool


class Matching(msgspec.Struct, frozen=True):
    """How many deliveries match; *is_exact* is False for the planner's estimate, where counting takes too long."""

    count: int
    is_exact: bool


async def begin_of_subscription(
    connection: Connection, subscription: Subscription, kind: SubscriptionChange, requested_by: str
) -> str | None:
    """
    Begin to let the deliveries of a subscription follow its new state, in the transaction that stores that state.

    From its commit on, no delivery is claimed against the new state: claims wait for the transaction.

    Returns:
        The id of the run; None if no delivery has to follow.
    """
    await connection.execute(queue.queries.lock_claims)
    advanced = await connection.fetchrow(queries.advance, subscription.subscription_id, kind)
    if advanced is None or advanced["pending_change"] is None:
        return None
    request = {"SubscriptionId": subscription.subscription_id}
    run_id = await _insert_run(connection, subscription.program_id, kind, request, requested_by)
    number = advanced["change_number"]
    await connection.execute(queries.insert, run_id, kind, subscription.subscription_id, number, "{}", None, None)
    return run_id


async def begin(
    connection: Connection,
    kind: BulkKind,
    program_id: str,
    delivery_filter: DeliveryFilter,
    request: dict[str, Any],
    *,
    requested_by: str,
    total: int | None,
    reason: str | None = None,
) -> str:
    """Begin to requeue or discard the deliveries of a Program that match the filter; returns the id of the run."""
    run_id = await _insert_run(connection, program_id, kind, request, requested_by)
    filters = json.dumps(_written_filter(delivery_filter))
    await connection.execute(
        queries.insert, run_id, kind, delivery_filter.subscription_id, None, filters, reason, total
    )
    return run_id


async def pending(connection: Connection, subscription_id: str) -> tuple[str, str] | None:
    """The run and the kind of the change that deliveries of the subscription still have to follow."""
    row = await connection.fetchrow(queries.pending_of_subscription, subscription_id)
    return (row["run_id"], row["kind"]) if row else None


async def is_unfinished(database: Database, run_id: str) -> bool:
    """Whether batches are left."""
    return bool(await database.fetchval(queries.is_unfinished, run_id))


async def is_sending(database: Database, subscription: Subscription) -> bool:
    """Whether a delivery of the subscription is being sent."""
    return bool(await database.fetchval(queries.is_sending, subscription.subscription_id, subscription.subscriber_id))


async def hold_stragglers(database: Database, subscription: Subscription) -> None:
    """Hold deliveries whose attempts failed while the subscription was being stopped."""
    async with database.transaction() as connection:
        number = await connection.fetchval(queries.change_number, subscription.subscription_id)
        await delivery_transitions.hold(
            connection, subscription.subscription_id, number, from_utc=None, limit=DELIVERIES_AT_ONCE
        )


async def programs(database: Database, delivery_filter: DeliveryFilter) -> list[str]:
    """The Programs in which deliveries may match."""
    if delivery_filter.event is not None:
        return [delivery_filter.event.program_id]
    return [row["program_id"] for row in await database.fetch(queries.programs, delivery_filter.programs)]


async def finished_count(database: Database, run_ids: Sequence[str], state: str) -> int:
    """How many deliveries these finished runs brought into *state*."""
    found = [run for run_id in run_ids if (run := await runs.find(database, run_id)) is not None]
    return sum(int(getattr(run.counts, state)) for run in found)


async def count(
    database: Database, kind: BulkKind, program_id: str, delivery_filter: DeliveryFilter, *, milliseconds: int
) -> Matching:
    """How many deliveries of a Program match; counting takes at most *milliseconds*, then it is an estimate."""
    values = _pick_values(kind, program_id, delivery_filter, START, None, 0)[:-1]
    async with database.connection() as connection:
        try:
            async with connection.transaction():
                await connection.execute(queries.counting_time, f"{milliseconds}ms")
                found = await connection.fetchval(
                    f"SELECT count(*) FROM ({MATCHING}) AS matching",  # noqa: S608 - a statement of this package
                    *values,
                )
        except asyncpg.QueryCanceledError:
            return Matching(await _estimate(connection, values), is_exact=False)
    return Matching(int(found), is_exact=True)


async def _estimate(connection: Connection, values: Sequence[Any]) -> int:
    async with connection.transaction():
        await connection.execute(feed.queries.plan_for_these_values)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {MATCHING}", *values))
    return int(plan[0]["Plan"]["Plan Rows"])


async def carry_out_batch(database: Database, run_id: str | None = None) -> Batch | None:
    """
    Carry out the next batch of a bulk change; a batch and the position after it are one commit.

    With None it is a batch of any change, in the background; a request carries out its own.

    Returns:
        What was done; None if there is nothing to do, or another process is doing it.
    """
    async with database.transaction() as connection:
        row = await connection.fetchrow(queries.take, run_id)
        if row is None:
            return None
        if row["change_number"] is None:
            is_last = await _change_matching(connection, row)
        else:
            is_last = await _follow(connection, row, may_count=run_id is None)
        return Batch(row["kind"], is_last)


async def _follow(connection: Connection, row: Row, *, may_count: bool) -> bool:
    """
    A batch of deliveries follows the new state of its subscription; returns whether it was the last batch.

    Counting what a change concerns may take longer than a request has, so only the background does it (*may_count*).
    """
    subscription_id, number, kind = row["subscription_id"], row["change_number"], row["kind"]
    # A change of the subscription waits for the batch, so that no batch of an older change ends after it.
    await connection.execute(subscriptions.queries.lock, subscription_id)
    if await connection.fetchval(queries.change_number, subscription_id) != number:
        await _finish(connection, row, {}, message=REPLACED)
        return True
    if row["total"] is None and may_count:
        left = await connection.fetchval(queries.count_of_subscription, subscription_id, kind, number)
        total = _counts(row, {}).matched + left
        await _move(connection, row, {}, row["after_uuid"], row["after_due_utc"], total)
        return False
    changed = await _follow_some(connection, row)
    done = _by_state(changed)
    if len(changed) < DELIVERIES_AT_ONCE:
        if not await connection.fetchval(queries.is_any_left, subscription_id, kind, number):
            await connection.execute(queries.followed, subscription_id, number)
            await _finish(connection, row, done)
            return True
        # What another transaction had locked is behind the position.
        await _move(connection, row, done, START, None, row["total"])
        return False
    uuids = [each["delivery_uuid"] for each in changed if kind == "start" or each["due_utc"] is None]
    times = [each["due_utc"] for each in changed if kind != "start" and each["due_utc"] is not None]
    after_uuid = max(uuids, default=row["after_uuid"])
    await _move(connection, row, done, after_uuid, max(times, default=row["after_due_utc"]), row["total"])
    return False


async def _follow_some(connection: Connection, row: Row) -> list[Row]:
    subscription_id, limit = row["subscription_id"], DELIVERIES_AT_ONCE
    match row["kind"]:
        case "stop":
            return await delivery_transitions.hold(
                connection, subscription_id, row["change_number"], from_utc=row["after_due_utc"], limit=limit
            )
        case "start":
            return await delivery_transitions.release_held(
                connection, subscription_id, after=row["after_uuid"], limit=limit
            )
    return await delivery_transitions.discard_archived(
        connection, subscription_id, after=row["after_uuid"], from_utc=row["after_due_utc"], limit=limit
    )


async def _change_matching(connection: Connection, row: Row) -> bool:
    """Requeue or discard a batch of the deliveries that match; returns whether it was the last batch."""
    program_id, delivery_filter = row["program_id"], _read_filter(row["filter"])
    values = _pick_values(
        row["kind"], program_id, delivery_filter, row["after_uuid"], row["began_utc"], DELIVERIES_AT_ONCE
    )
    await connection.execute(feed.queries.plan_in_index_order)
    uuids = [each["delivery_uuid"] for each in await connection.fetch(queries.pick, *values)]
    done: dict[str, int] = {}
    if uuids and row["kind"] == "discard":
        done = _by_state(await delivery_transitions.discard_many(connection, program_id, uuids, row["reason"]))
    elif uuids:
        only = [DeliveryKey(program_id, uuid) for uuid in uuids]
        done = _by_state(
            await delivery_transitions.requeue(connection, DeliveryFilter(), only=only, after=None, limit=len(only))
        )
    if len(uuids) == DELIVERIES_AT_ONCE:
        await _move(connection, row, done, uuids[-1], None, row["total"])
        return False
    if await _is_any_matching(connection, row, delivery_filter):
        # What another transaction had locked is behind the position.
        await _move(connection, row, done, START, None, row["total"])
        return False
    await _finish(connection, row, done)
    return True


async def _is_any_matching(connection: Connection, row: Row, delivery_filter: DeliveryFilter) -> bool:
    values = _pick_values(row["kind"], row["program_id"], delivery_filter, START, row["began_utc"], 1)
    return bool(await connection.fetch(queries.pick, *values))


async def _move(
    connection: Connection, row: Row, done: dict[str, int], after: UUID, due_utc: datetime | None, total: int | None
) -> None:
    counts = _counts(row, done)
    await connection.execute(
        queries.move, row["run_id"], after, due_utc, counts.waiting, counts.superseded, counts.discarded, total
    )


async def _finish(connection: Connection, row: Row, done: dict[str, int], message: str | None = None) -> None:
    await runs.finish(connection, row["run_id"], "finished", _counts(row, done), message)
    await connection.execute(queries.delete, row["run_id"])


async def _insert_run(
    connection: Connection, program_id: str, kind: BulkKind, request: dict[str, Any], requested_by: str
) -> str:
    run_id = new_id()
    await runs.insert(connection, run_id, program_id, kind, msgspec.json.encode(request), requested_by, None)
    return run_id


def _by_state(changed: Sequence[Row]) -> dict[str, int]:
    states = [each["state"] for each in changed]
    return {state: states.count(state) for state in set(states)}


def _counts(row: Row, done: dict[str, int]) -> Counts:
    by_state = {state: row[state] + done.get(state, 0) for state in ("waiting", "superseded", "discarded")}
    return Counts(matched=sum(by_state.values()), **by_state)


def _pick_values(
    kind: str,
    program_id: str,
    delivery_filter: DeliveryFilter,
    after: UUID,
    by_utc: datetime | None,
    limit: int,
) -> list[Any]:
    """The values of the statement `pick`; *by_utc* is None for any time."""
    return [
        program_id,
        after,
        delivery_filter.state,
        delivery_filter.subscription_id,
        delivery_filter.subscriber_id,
        delivery_filter.class_,
        delivery_filter.code,
        delivery_filter.event.event_uuid if delivery_filter.event else None,
        delivery_filter.signature,
        by_utc,
        kind,
        limit,
    ]


def _written_filter(delivery_filter: DeliveryFilter) -> dict[str, Any]:
    fields = ("state", "subscription_id", "subscriber_id", "class_", "code", "signature")
    written: dict[str, Any] = {field: getattr(delivery_filter, field) for field in fields}
    if delivery_filter.event is not None:
        written["event"] = [delivery_filter.event.program_id, str(delivery_filter.event.event_uuid)]
    return {field: value for field, value in written.items() if value is not None}


def _read_filter(text: str) -> DeliveryFilter:
    fields = json.loads(text)
    event = fields.pop("event", None)
    return DeliveryFilter(**fields, event=EventKey(event[0], UUID(event[1])) if event else None)
