"""The connectors in use: one for each subscriber as it is set up now, so that sign-ins are shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from learning_hub.connectors.base import Connector
from learning_hub.connectors.registry import Registry
from learning_hub.model.errors import NotFound
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import subscribers
from learning_hub.store.database import Database
from learning_hub.store.vault import Vault


class Connections:
    """Hands out connectors; one is replaced as soon as its subscriber was changed, in whichever process."""

    def __init__(self, database: Database, vault: Vault, registry: Registry) -> None:
        self._database = database
        self._vault = vault
        self._registry = registry
        self._open: dict[str, tuple[datetime, Connector]] = {}
        self._lock = asyncio.Lock()

    async def connector_for(self, subscriber_id: str) -> tuple[Subscriber, Connector]:
        """
        The subscriber and a connector with its settings and credentials of now.

        Raises:
            NotFound: There is no such subscriber.
            LearningHubError: Its credentials cannot be decrypted with the keys the hub has.
        """
        subscriber = await subscribers.find(self._database, subscriber_id)
        if subscriber is None:
            raise NotFound(f"There is no subscriber {subscriber_id}.")
        async with self._lock:
            there = self._open.get(subscriber_id)
            connector = there[1] if there else None
            if there is None or connector is None or there[0] != subscriber.changed_utc:
                credentials = await subscribers.credentials(self._database, self._vault, subscriber_id)
                fresh = self._registry.connector(
                    subscriber.connector,
                    subscriber.settings,
                    credentials,
                    keep_refresh_token=self._keeper(subscriber, credentials),
                )
                self._open[subscriber_id] = (subscriber.changed_utc, fresh)
                if connector is not None:
                    await connector.close()
                connector = fresh
        return subscriber, connector

    def _keeper(self, subscriber: Subscriber, credentials: dict[str, Any]) -> Callable[[str], Awaitable[None]]:
        """Stores a renewed refresh token: the one before is used up, and a restart must find the new one."""

        async def keep(refresh_token: str) -> None:
            renewed = credentials | {"RefreshToken": refresh_token}
            await subscribers.keep_credentials(self._database, self._vault, subscriber, renewed)

        return keep

    async def close(self) -> None:
        """Close all connectors."""
        for _, connector in self._open.values():
            await connector.close()
        self._open.clear()
