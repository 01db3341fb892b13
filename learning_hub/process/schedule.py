"""The schedule: running started subscriptions at the times of their cron expressions."""

from __future__ import annotations

import asyncio
import logging

from learning_hub.model.cron import latest_tick, ticks
from learning_hub.model.errors import LearningHubError
from learning_hub.process.runner import Runner
from learning_hub.store import schedules
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.schedules import Due, Scheduled

log = logging.getLogger(__name__)

# A change of a subscription rings; this is for a ring that got lost, and for clocks that do not run alike.
LOOK_EVERY_SECONDS = 30.0
# The database is away, or this process cannot be seen by the others yet.
LOOK_AGAIN_SECONDS = 0.5
SHORTEST_SECONDS = 0.05
GATHERING_AT_ONCE = 4


class Scheduler:
    """
    Begins a run for each time of a schedule that comes; any number of them may run on one database.

    Which time has come is by the database's clock, and which has run stands in the database. A time that was missed is
    made up once, however many were missed.
    """

    def __init__(self, database: Database, notifications: Notifications, runner: Runner) -> None:
        self._database = database
        self._notifications = notifications
        self._runner = runner
        self._gathering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Begin what is due, and sleep until the next time, until cancelled."""
        while True:
            seen = self._notifications.schedules.count
            wait = LOOK_AGAIN_SECONDS
            try:
                if self._runner.is_live:
                    wait = await self.begin_due()
            except LearningHubError:
                pass
            except Exception:
                log.exception("schedule_failed")
            await self._notifications.schedules.wait(wait, seen)

    async def begin_due(self) -> float:
        """Begin a run for each subscription whose time has come; seconds until the next one comes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        wait = LOOK_EVERY_SECONDS
        for one in await schedules.scheduled(self._database):
            try:
                await self._begin_if_due(one)
                wait = min(wait, _seconds_to_next(one))
            except LearningHubError:
                raise
            except Exception:
                # Of one that cannot be read any more (a time zone that is gone) the others must not wait.
                log.exception("schedule_failed", extra={"subscription_id": one.subscription_id})
        return max(SHORTEST_SECONDS, wait - (loop.time() - began))

    async def _begin_if_due(self, one: Scheduled) -> None:
        due_utc = latest_tick(one.schedule, one.time_zone, one.after_utc, one.now_utc)
        if due_utc is None:
            return
        while len(self._gathering) >= GATHERING_AT_ONCE:
            await asyncio.wait(self._gathering, return_when=asyncio.FIRST_COMPLETED)
        due = Due(subscription_id=one.subscription_id, schedule=one.schedule, time_zone=one.time_zone, due_utc=due_utc)
        task = await self._runner.begin_due(due)
        if task is not None:
            self._gathering.add(task)
            task.add_done_callback(self._gathering.discard)


def _seconds_to_next(one: Scheduled) -> float:
    following = next(ticks(one.schedule, one.time_zone, one.now_utc), None)
    return LOOK_EVERY_SECONDS if following is None else (following - one.now_utc).total_seconds()
