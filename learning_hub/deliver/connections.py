"""The connectors in use: one for each subscriber in its present version, so that sign-ins are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from learning_hub.connectors.base import Connector
from learning_hub.connectors.factory import ConnectorFactory
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.errors import NotFound
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import subscribers
from learning_hub.store.database import Database
from learning_hub.store.vault import Vault

# When the subscriber was last changed, and when a check last found its credentials valid.
Version = tuple[datetime, datetime | None]


class _OpenConnector:
    """A connector, the version of the subscriber it was built for, and how many are using it."""

    def __init__(self, version: Version, connector: Connector) -> None:
        self.version = version
        self.connector = connector
        self.users = 0


class Connections:
    """
    Hands out connectors.

    A connector is replaced once its subscriber was changed, or a check found refused credentials valid, in whichever
    process. Credentials that a connector renews by itself do not replace it: it reads them again when it needs them.
    """

    def __init__(self, database: Database, vault: Vault, connector_factory: ConnectorFactory) -> None:
        self._database = database
        self._vault = vault
        self._connector_factory = connector_factory
        self._open: dict[str, _OpenConnector] = {}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def of(
        self, subscriber_id: str, known: Subscriber | None = None
    ) -> AsyncIterator[tuple[Subscriber, Connector]]:
        """
        The subscriber, and a connector with its present settings and credentials.

        A connector that is replaced meanwhile is closed when its last user is done.

        Args:
            subscriber_id: The subscriber.
            known: The subscriber where the caller has just read it.

        Raises:
            NotFound: The subscriber does not exist.
            LearningHubError: The credentials cannot be decrypted with the hub's keys.
        """
        subscriber = known or await subscribers.find(self._database, subscriber_id)
        if subscriber is None:
            raise NotFound(f"There is no subscriber {subscriber_id}.")
        async with self._lock:
            used = self._open.get(subscriber_id)
            if used is None or used.version != _version(subscriber):
                used = await self._replace(subscriber, used)
            used.users += 1
        try:
            yield subscriber, used.connector
        finally:
            used.users -= 1
            if not used.users and self._open.get(subscriber_id) is not used:
                await used.connector.close()

    async def _replace(self, subscriber: Subscriber, before: _OpenConnector | None) -> _OpenConnector:
        subscriber_id = subscriber.subscriber_id
        connector = self._connector_factory.connector(
            subscriber.connector,
            self._vault.decrypt_settings(subscriber.settings, KINDS[subscriber.connector].secret_settings),
            await subscribers.credentials(self._database, self._vault, subscriber_id),
            lock_credentials=lambda: subscribers.credentials_lock(self._database, self._vault, subscriber_id),
        )
        new = self._open[subscriber_id] = _OpenConnector(_version(subscriber), connector)
        if before is not None and not before.users:
            await before.connector.close()
        return new

    async def close(self) -> None:
        """Close all connectors."""
        for used in self._open.values():
            await used.connector.close()
        self._open.clear()


def _version(subscriber: Subscriber) -> Version:
    return subscriber.changed_utc, subscriber.credentials_checked_utc
