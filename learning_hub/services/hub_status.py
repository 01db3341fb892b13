"""The status of the hub: whether it can take events, and the gauges that are read from the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from learning_hub.metrics import DELIVERIES_OPEN, SUBSCRIBER_PAUSED
from learning_hub.model.errors import Unavailable
from learning_hub.store import deliveries, pauses
from learning_hub.store.database import Database

OPEN_STATES = ("waiting", "sending", "retrying", "parked")

# Whether this process can take events, and findings as sentences.
Readiness = Callable[[], Awaitable[tuple[bool, list[str]]]]


class HubStatus:
    """Reports the status; *readiness* comes from the process that runs the hub's jobs."""

    def __init__(self, database: Database, readiness: Readiness) -> None:
        self._database = database
        self._readiness = readiness

    async def need_ready(self) -> list[str]:
        """
        Findings of a hub that can take events, as sentences.

        Raises:
            Unavailable: The hub cannot take events.
        """
        is_ready, findings = await self._readiness()
        if not is_ready:
            raise Unavailable(" ".join(findings), retry_after_seconds=2)
        return findings

    async def refresh_gauges(self) -> None:
        """Set the metrics that are read from the database and are the same in every process."""
        by_state = await deliveries.count_open(self._database)
        for state in OPEN_STATES:
            DELIVERIES_OPEN.labels(state).set(by_state.get(state, 0))
        SUBSCRIBER_PAUSED.clear()
        for (subscriber_id, code), seconds in (await pauses.seconds_paused(self._database)).items():
            SUBSCRIBER_PAUSED.labels(subscriber_id, code).set(seconds)
