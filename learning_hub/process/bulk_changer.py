"""The bulk changer: carries out changes of many deliveries, batch by batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from learning_hub.model.errors import LearningHubError
from learning_hub.model.subscription import Subscription
from learning_hub.store import bulk_changes
from learning_hub.store.bulk_changes import Batch
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# The rest after a batch, as a multiple of the time that it took, so that publishing and sending go on beside it.
REST_PER_BATCH_SECOND = 1.0
LEAST_REST_SECONDS = 0.005
# How long a request carries out its own change before the background goes on with it; responses take at most two
# seconds.
IN_REQUEST_SECONDS = 0.6
POLL_IN_REQUEST_SECONDS = 0.05


class BulkChanger:
    """
    Carries out changes of many deliveries; any number of processes may do so on one database.

    Each batch is committed together with the position after it, so that another process goes on where one was killed.
    """

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def run(self) -> None:
        """Carry out whatever there is, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            seen = self._notifications.changes.count
            began = loop.time()
            batch = None
            try:
                batch = await self._carry_out(None)
            except LearningHubError:
                # The database is away, or another transaction was in the way.
                pass
            except Exception:
                log.exception("bulk_change_failed")
            if batch is None:
                await self._notifications.changes.wait(POLL_SECONDS, seen)
            else:
                await asyncio.sleep(max(LEAST_REST_SECONDS, REST_PER_BATCH_SECOND * (loop.time() - began)))

    async def carry_out(self, run_ids: Sequence[str], *, seconds: float = IN_REQUEST_SECONDS) -> bool:
        """
        Carry out these changes for up to *seconds*; the background goes on with what is left.

        Returns:
            Whether all of them are finished.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            for run_id in run_ids:
                while await bulk_changes.is_unfinished(self._database, run_id):
                    if loop.time() >= deadline:
                        return False
                    if await self._carry_out(run_id) is None:
                        await asyncio.sleep(POLL_IN_REQUEST_SECONDS)
        except LearningHubError:
            # The change itself is stored.
            return False
        finally:
            self._notifications.notify(self._notifications.changes)
        return True

    async def quieten(self, subscription: Subscription, *, seconds: float = IN_REQUEST_SECONDS) -> None:
        """
        Wait up to *seconds* for the attempts of a stopped or archived subscription, and hold those that failed.

        A delivery that was claimed before the change may be on its way only a moment after it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while await bulk_changes.is_sending(self._database, subscription) and loop.time() < deadline:
            await self._notifications.deliveries.wait(POLL_IN_REQUEST_SECONDS)
        if subscription.archived_utc is None:
            await bulk_changes.hold_stragglers(self._database, subscription)

    async def _carry_out(self, run_id: str | None) -> Batch | None:
        batch = await bulk_changes.carry_out_batch(self._database, run_id)
        if batch and batch.kind in ("start", "requeue"):
            self._notifications.notify(self._notifications.deliveries)
        return batch
