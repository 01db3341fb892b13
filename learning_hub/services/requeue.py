"""Requeue deliveries: the change, an entry in the audit log for each, and the notification of the workers."""

from __future__ import annotations

from collections.abc import Sequence

from learning_hub.model.caller import Caller
from learning_hub.model.delivery import Delivery, Requeued
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.ids import DeliveryKey
from learning_hub.store import audit, deliveries
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications


async def requeue(
    connection: Connection,
    caller: Caller,
    filters: DeliveryFilter,
    only: Sequence[DeliveryKey],
    *,
    before: Delivery | None = None,
) -> list[Requeued]:
    """
    Requeue deliveries, and record in the audit log that the caller did.

    The transaction is the caller's, who notifies the workers once it is committed; `requeue_now` does both.

    Args:
        connection: A transaction.
        caller: The person or program that requeues.
        filters: Only the deliveries that match are requeued.
        only: The deliveries, all of one Program.
        before: The only delivery as it was, so that the audit log has all of it; None: the log has a summary of each.
    """
    # The enqueuer locks deliveries that exist already when it reads their events in the feed. The statement that
    # requeues skips locked rows, and the caller would be answered that nothing was requeued.
    await deliveries.lock(connection, only)
    requeued = await deliveries.requeue(connection, filters, only)
    changes = [
        audit.Change(each.now.delivery_id, before, each.now)
        if before
        else audit.Change(each.now.delivery_id, each.before, each.now.summary)
        for each in requeued
    ]
    await audit.write_many(connection, caller, "requeue", "delivery", changes)
    return requeued


async def requeue_now(
    database: Database,
    notifications: Notifications,
    caller: Caller,
    only: Sequence[DeliveryKey],
    *,
    before: Delivery | None = None,
) -> list[Requeued]:
    """Requeue deliveries in a transaction of its own, and notify the workers; the arguments are those of `requeue`."""
    async with database.transaction() as connection:
        requeued = await requeue(connection, caller, DeliveryFilter(), only, before=before)
    notifications.notify(notifications.deliveries)
    return requeued
