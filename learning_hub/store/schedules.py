"""The subscription_tick table: the time up to which each cron schedule has run."""

from __future__ import annotations

from datetime import datetime

import msgspec

from learning_hub.model.subscription import Subscription
from learning_hub.store import subscriptions
from learning_hub.store.database import Connection, Database, changed
from learning_hub.store.queries import Queries

queries = Queries("schedules")


class ScheduledSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """
    A subscription with a cron expression. Scheduled times after *after_utc* have not run; *now_utc* is the database's
    time.
    """

    subscription_id: str
    schedule: str
    time_zone: str
    after_utc: datetime
    now_utc: datetime


class DueTime(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduled time of a subscription that has come."""

    subscription_id: str
    schedule: str
    time_zone: str
    due_utc: datetime


async def scheduled(database: Database) -> list[ScheduledSubscription]:
    """The started subscriptions with a cron expression."""
    return [ScheduledSubscription(**dict(row)) for row in await database.fetch(queries.scheduled)]


async def lock(connection: Connection, due: DueTime, *, again_seconds: float) -> Subscription | None:
    """
    Lock and return the subscription of *due*: no other process begins a run for it until the transaction ends.

    Returns:
        None when that time has run, is being run, or is no longer scheduled. Also None for *again_seconds* after a
        failed run for it began.
    """
    await connection.execute(queries.insert, due.subscription_id)
    if not await connection.fetchval(queries.lock, due.subscription_id):
        return None
    row = await connection.fetchrow(
        queries.is_due, due.subscription_id, due.due_utc, due.schedule, due.time_zone, again_seconds
    )
    return subscriptions.read_row(row) if row else None


async def begin(connection: Connection, subscription_id: str, run_id: str) -> None:
    """Store that the run gathers deliveries for the subscription."""
    await connection.execute(queries.begin, subscription_id, run_id)


async def move(connection: Connection, due: DueTime, run_id: str) -> bool:
    """Store that the subscription has run up to the time of *due*; False when the run no longer gathers for it."""
    return changed(await connection.execute(queries.move, due.subscription_id, run_id, due.due_utc)) > 0


async def give_up(connection: Connection, run_id: str) -> None:
    """Store that the run no longer gathers deliveries, because its process is gone."""
    await connection.execute(queries.give_up, run_id)
