"""Runs: beginning them, releasing their deliveries, waiting for their end, and closing them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from learning_hub.model.clock import written
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.ids import new_id
from learning_hub.model.run import Counts, ProcessBody, Trigger
from learning_hub.model.subscription import Subscription
from learning_hub.process.event_selection import EventSelection
from learning_hub.process.gathering import Gathering
from learning_hub.store import runs, schedules
from learning_hub.store.database import Database
from learning_hub.store.liveness import LivenessLock
from learning_hub.store.notifications import Notifications
from learning_hub.store.schedules import DueTime

log = logging.getLogger(__name__)

# Seconds of gathering after which a process without a liveness lock counts as gone.
GATHERING_SECONDS = 900
CLOSE_EVERY_SECONDS = 2
# Seconds before a scheduled time whose run failed is run again, because the cause of the failure may last.
DUE_AGAIN_SECONDS = 60
GONE = "The hub process that gathered the events has ended; begin the run again."
GONE_BY_SCHEDULE = "The hub process that gathered the events has ended; another one runs what was due."


class _RunTakenOver(LearningHubError):
    """Another process took this one for gone and has closed the run."""


class Runner:
    """Begins runs, and closes them when they have finished."""

    def __init__(self, database: Database, notifications: Notifications, gathering: Gathering) -> None:
        self._database = database
        self._notifications = notifications
        self._gathering = gathering
        self._liveness = LivenessLock(database)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_live(self) -> bool:
        """Whether this process holds its liveness lock."""
        return self._liveness.number is not None

    async def hold_liveness_lock(self) -> None:
        """Hold the liveness lock, until cancelled, so that other processes do not close the runs of this process."""
        await self._liveness.keep(on_lost=lambda: None)

    async def begin(
        self,
        selection: EventSelection,
        subscriptions: list[Subscription],
        body: ProcessBody,
        *,
        trigger: Trigger,
        requested_by: str,
    ) -> str:
        """
        Begin a run over the events of *selection* for *subscriptions*; it continues in the background.

        A subscription that *body* names sends even if it is stopped; others send only if they are started.

        Returns:
            The run's id.
        """
        run_id = new_id()
        request = msgspec.json.encode(body)
        await runs.insert(
            self._database, run_id, selection.program_id, trigger, request, requested_by, self._liveness.number
        )
        self._start(run_id, selection.program_id, self._gather(run_id, selection, subscriptions, body))
        return run_id

    async def begin_due(self, due: DueTime) -> asyncio.Task[None] | None:
        """
        Begin the run of a scheduled time, unless another process does or did; it continues in the background.

        A time counts as run once its deliveries are gathered and released. If a process is killed before that, another
        process runs the time, and sends what is not sent yet.

        Returns:
            The task that gathers; None if no run is needed.
        """
        run_id = new_id()
        request = msgspec.json.encode({"SubscriptionId": due.subscription_id, "DueUtc": written(due.due_utc)})
        async with self._database.transaction() as connection:
            subscription = await schedules.lock(connection, due, again_seconds=DUE_AGAIN_SECONDS)
            if subscription is None:
                return None
            program_id = subscription.program_id
            await runs.insert(connection, run_id, program_id, "cron", request, "hub", self._liveness.number)
            await schedules.begin(connection, due.subscription_id, run_id)
        return self._start(run_id, program_id, self._gather_due(run_id, subscription, due))

    async def begin_dry_run(
        self,
        selection: EventSelection,
        body: ProcessBody,
        perform: Callable[[], Awaitable[Counts]],
        *,
        requested_by: str,
    ) -> tuple[str, asyncio.Task[None]]:
        """
        Begin a dry run over *selection*, carried out by *perform*; it continues in the background.

        Returns:
            The run's id, and the task that ends with the run.
        """
        run_id = new_id()
        request = msgspec.json.encode(body)
        program_id = selection.program_id
        await runs.insert(
            self._database, run_id, program_id, "processEvents", request, requested_by, self._liveness.number
        )
        return run_id, self._start(run_id, program_id, self._perform(run_id, perform))

    async def wait(self, run_id: str, program_id: str, seconds: float) -> Counts | None:
        """
        The counts of a run once none of its deliveries will change without a person's action.

        None when that takes longer than *seconds*, or the hub stops; the run continues nevertheless.

        Raises:
            Unavailable: The run failed; beginning the same run again does the rest.
        """
        began = asyncio.get_running_loop().time()
        while True:
            await self._close_if_over(run_id, program_id)
            run = await runs.find(self._database, run_id)
            if run and run.state == "failed":
                raise Unavailable(f"The run {run_id} failed. {run.message}")
            if run and run.state == "finished":
                return run.counts
            waited = asyncio.get_running_loop().time() - began
            if waited >= seconds or self._notifications.is_closed:
                return None
            # The interval grows, because counting the deliveries of a long run is expensive.
            await asyncio.sleep(min(0.03 + waited / 10, 0.5, seconds - waited))

    async def close_runs(self) -> None:
        """Close finished runs, whichever process began them, until cancelled."""
        while True:
            try:
                for run in await runs.running(self._database, GATHERING_SECONDS):
                    if run.is_gathered:
                        await self._close_if_over(run.run_id, run.program_id)
                    elif run.is_gone:
                        await self._give_up(run)
            except LearningHubError:
                pass
            except Exception:
                log.exception("closing_runs_failed")
            await asyncio.sleep(CLOSE_EVERY_SECONDS)

    async def stop(self) -> None:
        """Wait up to ten seconds for runs that are gathering."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    async def _close_if_over(self, run_id: str, program_id: str) -> None:
        if not await runs.is_gathered(self._database, run_id):
            return
        counts, still_open = await runs.counts(self._database, run_id, program_id)
        if not still_open:
            await runs.finish(self._database, run_id, "finished", counts)

    async def _give_up(self, run: runs.Running) -> None:
        """Close the run of a process that is gone as failed; the schedule then runs a time that was due at once."""
        counts, _ = await runs.counts(self._database, run.run_id, run.program_id)
        message = GONE_BY_SCHEDULE if run.trigger == "cron" else GONE
        async with self._database.transaction() as connection:
            await schedules.give_up(connection, run.run_id)
            await runs.finish(connection, run.run_id, "failed", counts, message)
        self._notifications.notify(self._notifications.schedules)

    def _start(self, run_id: str, program_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._do_or_fail(run_id, program_id, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _do_or_fail(self, run_id: str, program_id: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the run is closed as failed with its cause
            await self._fail(run_id, program_id, error)

    async def _fail(self, run_id: str, program_id: str, error: Exception) -> None:
        log.error("run_failed", extra={"run_id": run_id}, exc_info=error)
        message = error.detail if isinstance(error, LearningHubError) else "The hub failed; its log has the cause."
        # While the database is away the run cannot be closed. This process then also loses its liveness lock, so that
        # another process closes the run.
        with contextlib.suppress(LearningHubError):
            counts = await self._counts_of_failed(run_id, program_id)
            await runs.finish(self._database, run_id, "failed", counts, message)

    async def _counts_of_failed(self, run_id: str, program_id: str) -> Counts:
        """The counts of a failed run; zeros if counting fails too."""
        try:
            counts, _ = await runs.counts(self._database, run_id, program_id)
        except LearningHubError:
            raise
        except Exception:  # noqa: BLE001 - the cause of the run's failure is logged already
            return Counts()
        return counts

    async def _perform(self, run_id: str, perform: Callable[[], Awaitable[Counts]]) -> None:
        await runs.finish(self._database, run_id, "finished", await perform())

    async def _gather(
        self, run_id: str, selection: EventSelection, subscriptions: list[Subscription], body: ProcessBody
    ) -> None:
        await self._gathering.gather(run_id, selection, subscriptions, replay=body.replay)
        is_named = body.subscription_id is not None
        released = [each.subscription_id for each in subscriptions if is_named or each.state == "started"]
        await runs.release(self._database, run_id, selection.program_id, released, only_started=not is_named)
        async with self._database.transaction() as connection:
            if not await runs.gathered(connection, run_id):
                raise _RunTakenOver(GONE)
        self._notifications.notify(self._notifications.deliveries)

    async def _gather_due(self, run_id: str, subscription: Subscription, due: DueTime) -> None:
        await self._gathering.gather_pending(run_id, subscription)
        # A subscription that was stopped meanwhile no longer sends by its schedule.
        released = [due.subscription_id]
        await runs.release(self._database, run_id, subscription.program_id, released, only_started=True)
        async with self._database.transaction() as connection:
            if not await runs.gathered(connection, run_id) or not await schedules.move(connection, due, run_id):
                raise _RunTakenOver(GONE_BY_SCHEDULE)
        self._notifications.notify(self._notifications.deliveries)
