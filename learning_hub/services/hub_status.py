"""The status of the hub: whether it can take events, and the gauges that are read from the database."""

from __future__ import annotations

import asyncio
import logging
import time

from learning_hub.jobs import Jobs
from learning_hub.metrics import DELIVERIES_NO_TEMPLATE, DELIVERIES_OPEN, FEED_HELD_BACK, SUBSCRIBER_PAUSED
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.store import catalog, deliveries, pauses
from learning_hub.store.database import Database
from learning_hub.store.feed_delay import delay_findings, hidden_seconds
from learning_hub.store.storing import need_storable

log = logging.getLogger(__name__)

OPEN_STATES = ("waiting", "sending", "retrying", "parked")
RETRY_AFTER_SECONDS = 2
PROBE_INTERVAL_SECONDS = 1.0
# The schema changes when somebody changes it by hand, or puts back a backup.
CATALOG_INTERVAL_SECONDS = 60.0


class HubStatus:
    """Reports the status of the hub process that runs *jobs*."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs
        self._probing = asyncio.Lock()
        self._probed_at = float("-inf")
        self._probe_failure: str | None = None
        self._compared_at = float("-inf")
        self._differences: list[str] = []

    async def need_ready(self) -> list[str]:
        """
        What holds the feed back, and what the database lacks of the schema, as sentences.

        Raises:
            Unavailable: This process cannot take events: a job has ended, or the database does not store an
                event.
        """
        if ended := self._jobs.ended:
            reasons = [f"{name} has ended: the log has the cause. Restart this hub process." for name in ended]
            raise Unavailable(" ".join(reasons), retry_after_seconds=RETRY_AFTER_SECONDS)
        if failure := await self._probe():
            raise Unavailable(failure, retry_after_seconds=RETRY_AFTER_SECONDS)
        try:
            return [*await delay_findings(self._database), *await self._catalog_findings()]
        except LearningHubError as error:
            raise Unavailable(error.detail, retry_after_seconds=RETRY_AFTER_SECONDS) from error

    async def _probe(self) -> str | None:
        """
        Why no event can be stored, or None; tried at most once in PROBE_INTERVAL_SECONDS.

        A failure is not repeated from memory: the next call waits until it may try again.
        """
        called_at = time.monotonic()
        async with self._probing:
            wait = self._probed_at + PROBE_INTERVAL_SECONDS - time.monotonic()
            if self._probed_at >= called_at or (wait > 0 and self._probe_failure is None):
                return self._probe_failure
            await asyncio.sleep(max(wait, 0))
            failure = await self._store()
            # Only now, so that a caller that goes away leaves no result that nobody has seen.
            self._probed_at, self._probe_failure = time.monotonic(), failure
            return failure

    async def _store(self) -> str | None:
        """Why no event can be stored, or None."""
        try:
            await need_storable(self._database)
        except LearningHubError as error:
            return error.detail
        except Exception:
            # For example a missing column or privilege: publishing fails in the same way.
            log.exception("readiness_check_failed")
            cause = " ".join(await self._read_differences()) or "the log has the cause."
            return f"The hub cannot store an event: {cause[0].lower()}{cause[1:]}"
        return None

    async def _catalog_findings(self) -> list[str]:
        """What the database lacks of the schema; compared at most once in CATALOG_INTERVAL_SECONDS."""
        if time.monotonic() - self._compared_at >= CATALOG_INTERVAL_SECONDS:
            self._compared_at = time.monotonic()
            self._differences = await self._read_differences()
        return self._differences

    async def _read_differences(self) -> list[str]:
        async with self._database.connection() as connection:
            return [one.sentence for one in await catalog.differences(connection)]

    async def refresh_gauges(self) -> None:
        """Set the metrics that are read from the database and are the same in every process."""
        by_state = await deliveries.count_open(self._database)
        for state in OPEN_STATES:
            DELIVERIES_OPEN.labels(state).set(by_state.get(state, 0))
        DELIVERIES_NO_TEMPLATE.clear()
        for (subscriber_id, subscription_id), count in (await deliveries.count_no_template(self._database)).items():
            DELIVERIES_NO_TEMPLATE.labels(subscriber_id, subscription_id).set(count)
        FEED_HELD_BACK.set(await hidden_seconds(self._database))
        SUBSCRIBER_PAUSED.clear()
        for (subscriber_id, code), seconds in (await pauses.seconds_paused(self._database)).items():
            SUBSCRIBER_PAUSED.labels(subscriber_id, code).set(seconds)
