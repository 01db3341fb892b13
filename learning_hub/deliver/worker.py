"""The worker: claims deliveries that are due and makes attempts at them, many at once."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from learning_hub.connectors.kinds import KINDS
from learning_hub.deliver.attempt import Attempts
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.delivery_context import DeliveryContexts
from learning_hub.deliver.participant_lookup import ParticipantLookup
from learning_hub.deliver.payload_renderer import PayloadRenderer
from learning_hub.deliver.record_preparation import RecordPreparation
from learning_hub.deliver.sibling_rows import SiblingRows
from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.model.errors import Unavailable
from learning_hub.model.retry import RetryPolicy
from learning_hub.store import pauses, queue
from learning_hub.store.database import Database
from learning_hub.store.liveness import LivenessLock
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
POLL_WHILE_BUSY_SECONDS = 0.25
# Kinds of subscribers that take many records in one request.
BATCHED = tuple(name for name, kind in KINDS.items() if kind.batch is not None)


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    How much a worker takes on.

    Attributes:
        lease_seconds: How long a claim is valid.
        retries: How failed attempts are repeated.
        pause_alarm_seconds: A pause that lasts longer is logged as an error, once.
        restored_days: How long first inserts are preceded by a search after the database may have gone back in time.
        concurrency: Deliveries under way at once in this process.
        batched: The same for deliveries to subscribers that take many records in one request.
    """

    lease_seconds: float
    retries: RetryPolicy
    pause_alarm_seconds: float
    restored_days: float
    concurrency: int = 32
    batched: int = 1000


class Worker:
    """Carries out deliveries that are due; any number of workers may run on one database."""

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        connections: Connections,
        participant_lookup: ParticipantLookup,
        payload_renderer: PayloadRenderer,
        limits: WorkerLimits,
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._limits = limits
        self._attempts = Attempts(
            database,
            DeliveryContexts(database, connections),
            RecordPreparation(
                participant_lookup,
                payload_renderer,
                SiblingRows(database),
                may_lack_records=lambda: database.may_lack_records(limits.restored_days),
                patience_seconds=limits.lease_seconds * 0.3,
            ),
            limits.retries,
            lease_seconds=limits.lease_seconds,
        )
        self._liveness = LivenessLock(database)
        self._under_way: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._next_housekeeping = 0.0

    async def hold_liveness_lock(self) -> None:
        """Show the other workers that this one lives, until cancelled; a worker without the lock claims nothing."""
        await self._liveness.keep(on_lost=self._cancel_attempts)

    def _cancel_attempts(self) -> None:
        """The other workers take over the deliveries of a worker without a lock, so its attempts must end."""
        for task in self._under_way:
            task.cancel()

    async def run(self) -> None:
        """Claim and carry out, until cancelled; attempts under way then get until their lease ends."""
        try:
            while True:
                seen = self._notifications.deliveries.count
                for claimed in await self._claim():
                    task = asyncio.create_task(self._attempts.make(claimed))
                    self._under_way[task] = claimed
                    task.add_done_callback(self._done)
                # Nothing else can be claimed until a delivery falls due, is made, or an attempt ends.
                await self._notifications.deliveries.wait(await self._idle_seconds(), seen)
        finally:
            await self._finish()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        # The subscriber has capacity again, and the next delivery of the source record may be sent.
        self._notifications.deliveries.wake()

    async def _claim(self) -> list[ClaimedDelivery]:
        worker = self._liveness.number
        if worker is None:
            return []
        try:
            await self._housekeep()
            claimed = await queue.claim(self._database, self._room(), self._limits.lease_seconds, worker=worker)
        except Unavailable:
            return []
        except Exception:
            log.exception("claim_failed")
            return []
        # Once the lock is lost, other workers release these deliveries and send them as well.
        return claimed if self._liveness.number == worker else []

    def _room(self) -> queue.Room:
        batched = sum(claimed.connector in BATCHED for claimed in self._under_way.values())
        return queue.Room(
            most=max(0, self._limits.concurrency - (len(self._under_way) - batched)),
            most_batched=max(0, self._limits.batched - batched),
        )

    async def _housekeep(self) -> None:
        """Once a second: release expired leases, close circuit breakers with nothing to send, log long pauses."""
        now = asyncio.get_running_loop().time()
        if now < self._next_housekeeping:
            return
        self._next_housekeeping = now + POLL_SECONDS
        retries = self._limits.retries
        if released := await queue.release_expired(self._database, retries.settle_seconds, retries.steps_seconds):
            log.warning("leases_expired", extra={"deliveries": released})
        await pauses.end_idle(self._database)
        for pause in await pauses.lasting(self._database, self._limits.pause_alarm_seconds):
            log.error(
                "subscriber_paused_long",
                extra={
                    "subscriber_id": pause.subscriber_id,
                    "code": pause.code,
                    "since_utc": pause.since_utc.isoformat(),
                },
            )

    async def _idle_seconds(self) -> float:
        """How long to wait for a notification."""
        if self._under_way:
            return POLL_WHILE_BUSY_SECONDS
        try:
            seconds = await queue.seconds_to_next(self._database)
        except Unavailable:
            seconds = None
        except Exception:
            log.exception("claim_failed")
            seconds = None
        return POLL_SECONDS if seconds is None else min(POLL_SECONDS, max(0.01, seconds))

    async def _finish(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._limits.lease_seconds)
