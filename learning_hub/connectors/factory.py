"""Makes connectors: any kind of subscriber, with what all connectors share."""

from __future__ import annotations

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import Connector, LockCredentials
from learning_hub.connectors.kind import Json
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.errors import FieldError


class ConnectorFactory:
    """
    Makes the connector of a subscriber, by the subscriber's kind.

    Args:
        guard: Checks every address before the hub connects to it.
        timeout_seconds: For each HTTP exchange.
    """

    def __init__(self, guard: Guard, *, timeout_seconds: float) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    @staticmethod
    def check_kind(name: str) -> str | None:
        """Why *name* is no kind of subscriber; None when it is one."""
        if name in KINDS:
            return None
        return f"must be one of {', '.join(KINDS)}"

    def check_settings(self, name: str, settings: Json) -> list[FieldError]:
        """What is wrong with the Settings of a subscriber, its address included."""
        return KINDS[name].check_settings(settings, self._guard)

    def connector(
        self, name: str, settings: Json, credentials: Json, *, lock_credentials: LockCredentials | None = None
    ) -> Connector:
        """
        A connector of the kind *name*.

        Args:
            name: Of the kind, as in a subscriber's `Connector`.
            settings: Of the subscriber.
            credentials: Of the subscriber, decrypted.
            lock_credentials: Locks the stored credentials while they are renewed; None where nothing is stored.
        """
        return KINDS[name].build(
            settings,
            credentials,
            guard=self._guard,
            timeout_seconds=self._timeout_seconds,
            lock_credentials=lock_credentials,
        )
