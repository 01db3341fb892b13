"""Archiving subscriptions, alone or together with their Program or subscriber."""

from __future__ import annotations

from learning_hub.model.caller import Caller
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.subscription import Subscription
from learning_hub.store import audit, bulk_changes, subscriptions
from learning_hub.store.database import Connection


async def archive_subscriptions(
    connection: Connection, caller: Caller, *, program_id: str | None = None, subscriber_id: str | None = None
) -> list[str]:
    """
    Archive the subscriptions in use of a Program or a subscriber, in the transaction that archives that one.

    Returns:
        The runs that discard what they have not sent.
    """
    run_ids = []
    for existing in await subscriptions.in_use(connection, program_id=program_id, subscriber_id=subscriber_id):
        run_ids += await archive_subscription(connection, caller, existing)
    return run_ids


async def archive_subscription(
    connection: Connection, caller: Caller, existing: Subscription, precondition: Precondition = NO_PRECONDITION
) -> list[str]:
    """
    Archive one subscription, if *precondition* holds of it.

    Returns:
        The run, if there is one, that discards what it has not sent.
    """
    subscription_id = existing.subscription_id
    await subscriptions.lock(connection, subscription_id)
    before = await subscriptions.find(connection, subscription_id) or existing
    precondition.check(before.tag)
    if before.archived_utc is not None:
        return []
    after = await subscriptions.archive(connection, subscription_id)
    await audit.write(connection, caller, "archive", "subscription", subscription_id, before=before, after=after)
    run_id = await bulk_changes.begin_of_subscription(connection, after, "archive", caller.key_id)
    return [run_id] if run_id else []
