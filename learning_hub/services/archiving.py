"""Archiving subscriptions, alone or together with their Program or subscriber."""

from __future__ import annotations

from learning_hub.model.caller import Caller
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.subscription import Subscription
from learning_hub.store import audit, subscriptions
from learning_hub.store.database import Connection


async def archive_subscriptions(
    connection: Connection, caller: Caller, *, program_id: str | None = None, subscriber_id: str | None = None
) -> None:
    """Archive the subscriptions in use of a Program or a subscriber, in the transaction that archives that one."""
    for existing in await subscriptions.in_use(connection, program_id=program_id, subscriber_id=subscriber_id):
        await archive_subscription(connection, caller, existing)


async def archive_subscription(
    connection: Connection, caller: Caller, existing: Subscription, precondition: Precondition = NO_PRECONDITION
) -> None:
    """Archive one subscription, if *precondition* holds of it; deliveries that it has not sent are discarded."""
    subscription_id = existing.subscription_id
    await subscriptions.lock(connection, subscription_id)
    before = await subscriptions.find(connection, subscription_id) or existing
    precondition.check(before.tag)
    after = await subscriptions.archive(connection, before)
    if before.archived_utc is None:
        await audit.write(connection, caller, "archive", "subscription", subscription_id, before=before, after=after)
