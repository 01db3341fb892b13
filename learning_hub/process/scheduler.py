"""The scheduler: begins a run for each time of a subscription's cron expression."""

from __future__ import annotations

import asyncio
import logging

from learning_hub.model.cron import latest_tick, ticks
from learning_hub.model.errors import LearningHubError
from learning_hub.process.runner import Runner
from learning_hub.store import schedules
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.schedules import DueTime, ScheduledSubscription

log = logging.getLogger(__name__)

# A changed subscription sends a notification; polling covers lost notifications, and clocks that differ.
POLL_SECONDS = 30.0
# The wait while the database is away, or this process does not hold its liveness lock yet.
POLL_AGAIN_SECONDS = 0.5
SHORTEST_SECONDS = 0.05
GATHERING_AT_ONCE = 4


class Scheduler:
    """
    Begins a run for each scheduled time; several schedulers may run on one database.

    The database's clock decides which times have come, and the database stores which times have run. If a subscription
    has missed several times, one run makes up for all of them.
    """

    def __init__(self, database: Database, notifications: Notifications, runner: Runner) -> None:
        self._database = database
        self._notifications = notifications
        self._runner = runner
        self._gathering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Begin due runs, and sleep until the next scheduled time, until cancelled."""
        while True:
            seen = self._notifications.schedules.count
            wait = POLL_AGAIN_SECONDS
            try:
                if self._runner.is_live:
                    wait = await self.begin_due()
            except LearningHubError:
                pass
            except Exception:
                log.exception("schedule_failed")
            await self._notifications.schedules.wait(wait, seen)

    async def begin_due(self) -> float:
        """Begin a run for each subscription whose time has come; returns the seconds until the next time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        wait = POLL_SECONDS
        for scheduled in await schedules.scheduled(self._database):
            try:
                await self._begin_if_due(scheduled)
                wait = min(wait, _seconds_to_next(scheduled))
            except LearningHubError:
                raise
            except Exception:
                # A schedule that can no longer be read (its time zone was removed) must not stop the others.
                log.exception("schedule_failed", extra={"subscription_id": scheduled.subscription_id})
        return max(SHORTEST_SECONDS, wait - (loop.time() - began))

    async def _begin_if_due(self, scheduled: ScheduledSubscription) -> None:
        due_utc = latest_tick(scheduled.schedule, scheduled.time_zone, scheduled.after_utc, scheduled.now_utc)
        if due_utc is None:
            return
        while len(self._gathering) >= GATHERING_AT_ONCE:
            await asyncio.wait(self._gathering, return_when=asyncio.FIRST_COMPLETED)
        due = DueTime(
            subscription_id=scheduled.subscription_id,
            schedule=scheduled.schedule,
            time_zone=scheduled.time_zone,
            due_utc=due_utc,
        )
        task = await self._runner.begin_due(due)
        if task is not None:
            self._gathering.add(task)
            task.add_done_callback(self._gathering.discard)


def _seconds_to_next(scheduled: ScheduledSubscription) -> float:
    following = next(ticks(scheduled.schedule, scheduled.time_zone, scheduled.now_utc), None)
    return POLL_SECONDS if following is None else (following - scheduled.now_utc).total_seconds()
