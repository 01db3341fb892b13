"""The subscription table, the checkpoints, and the effects of a changed subscription on its deliveries."""

from __future__ import annotations

from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.subscription import State, Subscription
from learning_hub.model.subscription_draft import SubscriptionSpec
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("subscriptions")

# A snapshot in which nothing is visible, in an epoch before the first: every entry is new to it.
NOTHING_SEEN = (0, (1, 1, ()))


async def lock(connection: Connection, subscription_id: str) -> None:
    """
    Lock the subscription and its checkpoint until the transaction ends.

    The process stage locks the checkpoint too, and reads the subscription only after that. The deliveries that it
    enqueues are then held, released or discarded together with the others.
    """
    await connection.execute(queries.lock, subscription_id)
    await connection.execute(queries.lock_checkpoint, subscription_id)


async def put(connection: Connection, subscription_id: str, plan: SubscriptionSpec, *, is_new: bool) -> Subscription:
    """
    Create or change a subscription. A new subscription (or one that was archived) begins where its plan says.

    The caller must have called `lock` in the same transaction.
    """
    epoch, snapshot = (None, None) if plan.start_from == "now" else NOTHING_SEEN
    row = await connection.fetchrow(
        queries.put,
        subscription_id,
        plan.name,
        plan.subscriber_id,
        plan.program_id,
        plan.publisher_system_id,
        plan.event_types,
        write_json(plan.target).decode(),
        plan.templates_text,
        plan.schedule,
        plan.time_zone,
        plan.on_withdraw,
        plan.on_reopened,
        plan.state,
        plan.start_from,
        epoch,
        snapshot,
    )
    assert row is not None  # noqa: S101 - an upsert returns its row
    if is_new:
        await connection.execute(queries.put_checkpoint, subscription_id)
    return read_row(row)


async def find(database: Database | Connection, subscription_id: str) -> Subscription | None:
    """One subscription; archived subscriptions are found too."""
    row = await database.fetchrow(queries.find, subscription_id)
    return read_row(row) if row else None


async def of_program(database: Database | Connection, program_id: str) -> list[Subscription]:
    """The subscriptions of a Program that are not archived."""
    return [read_row(row) for row in await database.fetch(queries.of_program, program_id)]


async def page(
    database: Database,
    within: list[str] | None,
    *,
    program_id: str | None,
    subscriber_id: str | None,
    after: str,
    limit: int,
) -> list[Subscription]:
    """Up to *limit* subscriptions by id after *after*; only those of Programs in *within*, or all for None."""
    rows = await database.fetch(queries.page, within, program_id, subscriber_id, after, limit)
    return [read_row(row) for row in rows]


async def in_use(
    connection: Connection, *, program_id: str | None = None, subscriber_id: str | None = None
) -> list[Subscription]:
    """The subscriptions of a Program or a subscriber that are not archived."""
    return [read_row(row) for row in await connection.fetch(queries.in_use, program_id, subscriber_id)]


async def archive(connection: Connection, subscription_id: str) -> Subscription:
    """Archive the subscription, so that it gets nothing more; its unsent deliveries are left to a bulk change."""
    row = await connection.fetchrow(queries.archive, subscription_id)
    assert row is not None  # noqa: S101 - nothing deletes subscriptions
    return read_row(row)


async def set_state(connection: Connection, subscription_id: str, state: State) -> Subscription | None:
    """Start or stop the subscription; None if it is in this state already. Its deliveries are left to a bulk change."""
    row = await connection.fetchrow(queries.set_state, subscription_id, state)
    return read_row(row) if row else None


def read_row(row: Row) -> Subscription:
    """A row of the subscription table as a Subscription."""
    return Subscription(
        subscription_id=row["subscription_id"],
        name=row["name"],
        subscriber_id=row["subscriber_id"],
        program_id=row["program_id"],
        publisher_system_id=row["publisher_system_id"],
        event_types=row["event_types"],
        target=read_json(row["target"]),
        templates=read_json(row["templates"]),
        schedule=row["schedule"],
        time_zone=row["time_zone"],
        on_withdraw=row["on_withdraw"],
        on_reopened=row["on_reopened"],
        state=row["state"],
        start_from=row["start_from"],
        created_utc=row["created_utc"],
        changed_utc=row["changed_utc"],
        archived_utc=row["archived_utc"],
    )
