"""Runs: gathering a set of events, making and releasing their deliveries, and waiting for the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from learning_hub.model.clock import written
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.feed import BEGINNING
from learning_hub.model.ids import new_id
from learning_hub.model.matching import Entry, Match, match
from learning_hub.model.run import Counts, Trigger
from learning_hub.model.subscription import Subscription
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.process.event_selection import ProcessBody, Scope
from learning_hub.store import checkpoints, enqueue, runs, schedules
from learning_hub.store.database import Connection, Database
from learning_hub.store.liveness import LivenessLock
from learning_hub.store.notifications import Notifications
from learning_hub.store.schedules import Due

log = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 500
GATHERING_SECONDS = 900
MOST_PENDING = 10_000
CLOSE_EVERY_SECONDS = 2
# A time of a schedule whose run failed is run again, but not without pause: the cause may stay for long.
DUE_AGAIN_SECONDS = 60
GONE = "The hub process that gathered the events has ended; begin the run again."
GONE_BY_SCHEDULE = "The hub process that gathered the events has ended; another one runs what was due."


class _TakenOver(LearningHubError):
    """Another process took this run for gone, and has told so."""


class Runner:
    """Begins runs and brings them to their end."""

    def __init__(self, database: Database, notifications: Notifications, enqueuer: Enqueuer) -> None:
        self._database = database
        self._notifications = notifications
        self._enqueuer = enqueuer
        self._liveness = LivenessLock(database)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_live(self) -> bool:
        """Whether the other processes can see that this one lives."""
        return self._liveness.number is not None

    async def hold_liveness_lock(self) -> None:
        """Show the other processes that this one lives, until cancelled: its runs are not taken for gone then."""
        await self._liveness.keep(on_lost=lambda: None)

    async def begin(
        self,
        scope: Scope,
        subscriptions: list[Subscription],
        body: ProcessBody,
        *,
        trigger: Trigger,
        requested_by: str,
    ) -> str:
        """
        Begin a run over the events of *scope* for *subscriptions*; it goes on by itself.

        A subscription that *body* names sends even when it is stopped; those not named only when they are started.

        Returns:
            The run's id.
        """
        run_id = new_id()
        request = msgspec.json.encode(body)
        await runs.insert(
            self._database, run_id, scope.program_id, trigger, request, requested_by, self._liveness.number
        )
        self._start(run_id, scope.program_id, self._gather(run_id, scope, subscriptions, body))
        return run_id

    async def begin_due(self, due: Due) -> asyncio.Task[None] | None:
        """
        Begin the run of a time that has come, if no other process does or did; it goes on by itself.

        Whoever is killed while it gathers leaves the time to the next one: it counts as run once the deliveries are
        gathered and released, in the same transaction.

        Returns:
            The task that gathers; None where there is nothing to do.
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
        self, scope: Scope, body: ProcessBody, perform: Callable[[], Awaitable[Counts]], *, requested_by: str
    ) -> tuple[str, asyncio.Task[None]]:
        """
        Begin a dry run over *scope*, which is what *perform* does; it goes on by itself.

        Returns:
            The run's id, and the task that ends with the run.
        """
        run_id = new_id()
        request = msgspec.json.encode(body)
        await runs.insert(
            self._database, run_id, scope.program_id, "processEvents", request, requested_by, self._liveness.number
        )
        return run_id, self._start(run_id, scope.program_id, self._perform(run_id, perform))

    async def wait(self, run_id: str, program_id: str, seconds: float) -> Counts | None:
        """
        The counts of a run once nothing of it goes on any more.

        None when that takes longer than *seconds*, or the hub stops; the run goes on all the same.

        Raises:
            Unavailable: The run failed; begun again it does the rest.
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
            # Soon at first; a long run is counted less often, because counting costs as much as it is long.
            await asyncio.sleep(min(0.03 + waited / 10, 0.5, seconds - waited))

    async def close_runs(self) -> None:
        """Close runs that are over, whichever process began them, until cancelled."""
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
        """Let what is gathering end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    async def _close_if_over(self, run_id: str, program_id: str) -> None:
        if not await runs.is_gathered(self._database, run_id):
            return
        counts, still_open = await runs.counts(self._database, run_id, program_id)
        if not still_open:
            await runs.finish(self._database, run_id, "finished", counts)

    async def _give_up(self, run: runs.Running) -> None:
        """The run of a process that is gone has failed; what was due by a schedule is taken up at once."""
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
        except Exception as error:  # noqa: BLE001 - a run that fails is told with its cause
            await self._fail(run_id, program_id, error)

    async def _fail(self, run_id: str, program_id: str, error: Exception) -> None:
        log.error("run_failed", extra={"run_id": run_id}, exc_info=error)
        message = error.detail if isinstance(error, LearningHubError) else "The hub failed; its log has the cause."
        # While the database is away nothing can be written down: then the run is closed as that of one that is gone,
        # because this process loses its presence as well.
        with contextlib.suppress(LearningHubError):
            await runs.finish(self._database, run_id, "failed", await self._counts_at_last(run_id, program_id), message)

    async def _counts_at_last(self, run_id: str, program_id: str) -> Counts:
        """What became of the deliveries of a run that has failed; nothing is known where counting fails as well."""
        try:
            counts, _ = await runs.counts(self._database, run_id, program_id)
        except LearningHubError:
            raise
        except Exception:  # noqa: BLE001 - the cause of the run's failure is logged, and it must be told as failed
            return Counts()
        return counts

    async def _perform(self, run_id: str, perform: Callable[[], Awaitable[Counts]]) -> None:
        await runs.finish(self._database, run_id, "finished", await perform())

    async def _gather(self, run_id: str, scope: Scope, subscriptions: list[Subscription], body: ProcessBody) -> None:
        if scope.day is None and scope.event_uuids is None:
            for subscription in subscriptions:
                await self._gather_pending(run_id, subscription)
        else:
            await self._gather_events(run_id, scope, subscriptions, replay=body.replay)
        released = [
            subscription.subscription_id
            for subscription in subscriptions
            if body.subscription_id is not None or subscription.state == "started"
        ]
        async with self._database.transaction() as connection:
            if not await runs.release(connection, run_id, scope.program_id, released):
                raise _TakenOver(GONE)
        self._notifications.notify(self._notifications.deliveries)

    async def _gather_due(self, run_id: str, subscription: Subscription, due: Due) -> None:
        await self._gather_pending(run_id, subscription)
        async with self._database.transaction() as connection:
            # Stopped meanwhile, it sends nothing: its state governs what a schedule does.
            is_started = await schedules.is_started(connection, due.subscription_id)
            released = [due.subscription_id] if is_started else []
            is_ours = await runs.release(connection, run_id, subscription.program_id, released)
            if not is_ours or not await schedules.move(connection, due, run_id):
                raise _TakenOver(GONE_BY_SCHEDULE)
        self._notifications.notify(self._notifications.deliveries)

    async def _gather_pending(self, run_id: str, subscription: Subscription) -> None:
        subscription_id = subscription.subscription_id
        await self._enqueuer.read_on(subscription_id, wait=True)
        await self._enqueuer.read_ahead(subscription_id)
        async with self._database.transaction() as connection:
            await runs.add_pending(connection, run_id, subscription.program_id, subscription_id)

    async def _gather_events(
        self, run_id: str, scope: Scope, subscriptions: list[Subscription], *, replay: bool
    ) -> None:
        async for entries in self.entries(scope):
            uuids = list({entry.event_uuid for entry in entries})
            for subscription in subscriptions:
                async with self._database.transaction() as connection:
                    # One after the other with whoever reads the feed for it: they come to the same deliveries.
                    await checkpoints.lock_checkpoint(connection, subscription.subscription_id, wait=True)
                    await self._make(connection, subscription, entries, replay=replay)
                    await runs.add_deliveries_of_events(
                        connection,
                        run_id,
                        scope.program_id,
                        subscription.subscription_id,
                        uuids,
                        with_replays=replay,
                    )

    async def pending_scope(self, scope: Scope, subscriptions: list[Subscription]) -> Scope:
        """*scope* with the events named that are not settled, the newest of the feed included."""
        for subscription in subscriptions:
            await self._enqueuer.read_on(subscription.subscription_id, wait=True)
            await self._enqueuer.read_ahead(subscription.subscription_id)
        ids = [subscription.subscription_id for subscription in subscriptions]
        uuids = await runs.pending_events(self._database, scope.program_id, ids, MOST_PENDING)
        return Scope(program_id=scope.program_id, event_uuids=uuids)

    async def entries(self, scope: Scope) -> AsyncIterator[list[Entry]]:
        """The feed entries of *scope*, in feed order, some hundred at a time."""
        if scope.day is None:
            async with self._database.connection() as connection:
                yield await checkpoints.entries_of_events(connection, scope.program_id, scope.event_uuids or [])
            return
        wanted = None if scope.event_uuids is None else set(scope.event_uuids)
        place = BEGINNING
        while True:
            async with self._database.connection() as connection:
                entries, place = await checkpoints.entries_of_bucket(
                    connection, scope.program_id, scope.day, place, ENTRIES_AT_ONCE
                )
            if not entries:
                return
            yield [entry for entry in entries if wanted is None or entry.event_uuid in wanted]

    @staticmethod
    async def _make(connection: Connection, subscription: Subscription, entries: list[Entry], *, replay: bool) -> None:
        """The same deliveries as reading the feed makes, without moving the place; replays beside them."""
        matches = [found for entry in entries if (found := match(subscription, entry))]
        await enqueue.enqueue(connection, subscription, matches)
        uuids = [item.entry.event_uuid for item in matches]
        if not uuids:
            return
        program_id = entries[0].program_id
        if replay:
            before = await enqueue.delivered_before(connection, subscription, program_id, uuids)
            again: list[Match] = [item for item in matches if item.effect == "send" and item.entry.event_uuid in before]
            await enqueue.enqueue(connection, subscription, again, as_replays=True)
        await enqueue.skip_already_withdrawn(connection, subscription, program_id, uuids)
