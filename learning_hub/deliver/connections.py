"""The connectors in use: one for each subscriber as it is set up now, so that sign-ins are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from learning_hub.connectors.base import Connector
from learning_hub.connectors.registry import Registry
from learning_hub.model.errors import NotFound
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import subscribers
from learning_hub.store.database import Database
from learning_hub.store.vault import Vault

# When the subscriber was last changed, and when a check last found its credentials good.
AsOf = tuple[datetime, datetime | None]


class _Open:
    """A connector, as of which changes it was made, and how many are using it."""

    def __init__(self, made_as_of: AsOf, connector: Connector) -> None:
        self.made_as_of = made_as_of
        self.connector = connector
        self.users = 0


class Connections:
    """
    Hands out connectors; one is replaced as soon as its subscriber was changed, or freed by a check after its
    credentials had been refused, in whichever process.

    Credentials that a connector renews by itself are no such change: it reads them anew when it needs them.
    """

    def __init__(self, database: Database, vault: Vault, registry: Registry) -> None:
        self._database = database
        self._vault = vault
        self._registry = registry
        self._open: dict[str, _Open] = {}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def of(
        self, subscriber_id: str, known: Subscriber | None = None
    ) -> AsyncIterator[tuple[Subscriber, Connector]]:
        """
        The subscriber and a connector with its settings and credentials of now; *known* where it was read just now.

        One that is replaced meanwhile is closed when its last user is done: what it is sending gets to its end.

        Raises:
            NotFound: There is no such subscriber.
            LearningHubError: Its credentials cannot be decrypted with the keys the hub has.
        """
        subscriber = known or await subscribers.find(self._database, subscriber_id)
        if subscriber is None:
            raise NotFound(f"There is no subscriber {subscriber_id}.")
        async with self._lock:
            used = self._open.get(subscriber_id)
            if used is None or used.made_as_of != _as_of(subscriber):
                used = await self._replace(subscriber, used)
            used.users += 1
        try:
            yield subscriber, used.connector
        finally:
            used.users -= 1
            if not used.users and self._open.get(subscriber_id) is not used:
                await used.connector.close()

    async def _replace(self, subscriber: Subscriber, before: _Open | None) -> _Open:
        subscriber_id = subscriber.subscriber_id
        connector = self._registry.connector(
            subscriber.connector,
            subscriber.settings,
            await subscribers.credentials(self._database, self._vault, subscriber_id),
            lock_credentials=lambda: subscribers.credentials_lock(self._database, self._vault, subscriber_id),
        )
        fresh = self._open[subscriber_id] = _Open(_as_of(subscriber), connector)
        if before is not None and not before.users:
            await before.connector.close()
        return fresh

    async def close(self) -> None:
        """Close all connectors."""
        for used in self._open.values():
            await used.connector.close()
        self._open.clear()


def _as_of(subscriber: Subscriber) -> AsOf:
    return subscriber.changed_utc, subscriber.credentials_checked_utc
