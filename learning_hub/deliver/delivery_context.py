"""Claimed deliveries with all that they are about."""

from __future__ import annotations

import msgspec

from learning_hub.connectors.base import Connector
from learning_hub.model.delivery import Claimed, ClaimSnapshot, Version
from learning_hub.model.errors import NotFound
from learning_hub.model.event import Event
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.store import subscribers, subscriptions
from learning_hub.store.database import Database


class DeliveryContext(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed delivery with all that it is about."""

    claimed: Claimed
    event: Event
    program_name: str
    subscription: Subscription
    subscriber: Subscriber
    connector: Connector
    known_participant_id: str | None


class SetupCache:
    """
    Knows what deliveries are about.

    Subscriptions and subscribers are kept from one to the next; which version counts comes with each delivery, so that
    a change counts from the next delivery on, in every process.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: dict[str, tuple[Version, Subscription]] = {}
        self._subscribers: dict[str, tuple[Version, Subscriber]] = {}

    async def subscription(self, claimed: Claimed, about: ClaimSnapshot) -> Subscription:
        """The delivery's subscription, in the version that counts or a later one."""
        kept = self._subscriptions.get(claimed.subscription_id)
        if kept is None or kept[0] != about.subscription_version:
            found = await subscriptions.find(self._database, claimed.subscription_id)
            if found is None:
                raise NotFound(f"There is no subscription {claimed.subscription_id}.")
            kept = self._subscriptions[claimed.subscription_id] = ((found.changed_utc, found.archived_utc), found)
        return kept[1]

    async def subscriber(self, claimed: Claimed, about: ClaimSnapshot) -> Subscriber:
        """The delivery's subscriber, in the version that counts or a later one."""
        kept = self._subscribers.get(claimed.subscriber_id)
        if kept is None or kept[0] != about.subscriber_version:
            found = await subscribers.find(self._database, claimed.subscriber_id)
            if found is None:
                raise NotFound(f"There is no subscriber {claimed.subscriber_id}.")
            version = (found.changed_utc, found.credentials_checked_utc)
            kept = self._subscribers[claimed.subscriber_id] = (version, found)
        return kept[1]
