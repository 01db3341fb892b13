"""The context of a claimed delivery: its event, subscription and subscriber, and a connector to send with."""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec

from learning_hub.connectors.base import Connector
from learning_hub.deliver.connections import Connections
from learning_hub.model.claimed_delivery import ClaimedDelivery, ClaimSnapshot, Completion, Version
from learning_hub.model.errors import NotFound
from learning_hub.model.event import Event
from learning_hub.model.failure import CAUSES
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.store import subscribers, subscriptions
from learning_hub.store.database import Database


class DeliveryContext(msgspec.Struct, frozen=True, kw_only=True):
    """
    A claimed delivery with everything that an attempt needs.

    *known_participant_id* is the participant's id at the subscriber, None where no match or look-up is stored.
    """

    claimed: ClaimedDelivery
    event: Event
    program_name: str
    subscription: Subscription
    subscriber: Subscriber
    connector: Connector
    known_participant_id: str | None


class DeliveryContexts:
    """
    Loads the contexts of claimed deliveries.

    Subscriptions and subscribers are cached. Each claim says which version is valid, so that a change applies from the
    next claim on, in every process.
    """

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections
        self._subscriptions: dict[str, tuple[Version, Subscription]] = {}
        self._subscribers: dict[str, tuple[Version, Subscriber]] = {}

    async def load(
        self, claimed: ClaimedDelivery, snapshot: ClaimSnapshot, resources: AsyncExitStack
    ) -> DeliveryContext | Completion:
        """
        The context of *claimed*; its completion where the subscription was archived meanwhile.

        *resources* keeps the connector in use until the delivery is completed.

        Raises:
            NotFound: The subscription or the subscriber does not exist.
            LearningHubError: The credentials cannot be decrypted.
        """
        subscription = await self._subscription(claimed.subscription_id, snapshot.subscription_version)
        if subscription.archived_utc is not None:
            return Completion(state="discarded", code="archived", message=CAUSES["archived"].meaning)
        known = await self._subscriber(claimed.subscriber_id, snapshot.subscriber_version)
        subscriber, connector = await resources.enter_async_context(self._connections.of(claimed.subscriber_id, known))
        return DeliveryContext(
            claimed=claimed,
            event=snapshot.event,
            program_name=snapshot.program_name,
            subscription=subscription,
            subscriber=subscriber,
            connector=connector,
            known_participant_id=snapshot.known_participant_id,
        )

    async def _subscription(self, subscription_id: str, version: Version) -> Subscription:
        """The subscription in *version* or a later one."""
        cached = self._subscriptions.get(subscription_id)
        if cached is None or cached[0] != version:
            found = await subscriptions.find(self._database, subscription_id)
            if found is None:
                raise NotFound(f"There is no subscription {subscription_id}.")
            cached = self._subscriptions[subscription_id] = ((found.changed_utc, found.archived_utc), found)
        return cached[1]

    async def _subscriber(self, subscriber_id: str, version: Version) -> Subscriber:
        """The subscriber in *version* or a later one."""
        cached = self._subscribers.get(subscriber_id)
        if cached is None or cached[0] != version:
            found = await subscribers.find(self._database, subscriber_id)
            if found is None:
                raise NotFound(f"There is no subscriber {subscriber_id}.")
            cached = self._subscribers[subscriber_id] = ((found.changed_utc, found.credentials_checked_utc), found)
        return cached[1]
