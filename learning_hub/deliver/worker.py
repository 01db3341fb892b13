"""The worker: claim, pack, send, settle, as named steps."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from typing import cast

import msgspec

from learning_hub.connectors.base import (
    Batching,
    OutboundRecord,
    Outcome,
    Postponed,
    Refused,
    Unknown,
)
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.batches import Batches
from learning_hub.deliver.completions import Completions
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.delivery_context import DeliveryContext, SetupCache
from learning_hub.deliver.outbound_records import OutboundRecords
from learning_hub.deliver.outcome_policy import Retries, decide, parked
from learning_hub.deliver.participant_lookup import Participants
from learning_hub.deliver.payloads import Payloads
from learning_hub.deliver.sibling_rows import SiblingRows
from learning_hub.metrics import DELIVERIES_COMPLETED
from learning_hub.model import clock
from learning_hub.model.caller import HUB
from learning_hub.model.delivery import Claimed, Completion
from learning_hub.model.errors import Unavailable
from learning_hub.model.failure import CAUSES
from learning_hub.store import audit, pauses, queue, subscriptions
from learning_hub.store.database import Database
from learning_hub.store.liveness import LivenessLock
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
LOOK_WHILE_BUSY_SECONDS = 0.25
SETTLE_AGAIN_SECONDS = 1.0
BATCHED = tuple(name for name, kind in KINDS.items() if kind.batch is not None)


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a worker takes on; a try ends by itself before its lease does.

    *concurrency*: deliveries under way at once in this process, and *batched* of those that are sent many at once.
    *pause_alarm_seconds*: after that long a pause is told to the operator.
    """

    lease_seconds: float
    retries: Retries
    pause_alarm_seconds: float
    concurrency: int = 32
    batched: int = 1000


class Worker:
    """Carries out deliveries that are due; any number of them may run on one database."""

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        connections: Connections,
        participants: Participants,
        payloads: Payloads,
        limits: WorkerLimits,
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._connections = connections
        self._outbound_records = OutboundRecords(
            participants, payloads, SiblingRows(database), patience_seconds=limits.lease_seconds * 0.3
        )
        self._setup = SetupCache(database)
        self._batches = Batches(database)
        self._completions = Completions(database)
        self._limits = limits
        self._liveness = LivenessLock(database)
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._look_at = 0.0

    async def hold_liveness_lock(self) -> None:
        """Show the other workers that this one lives, until cancelled; without that it claims nothing."""
        await self._liveness.keep(on_lost=self._let_go)

    def _let_go(self) -> None:
        """The others take this worker for gone and will ask what became of its tries: none of them may go on."""
        for task in self._under_way:
            task.cancel()

    async def run(self) -> None:
        """Claim and carry out, until cancelled; what is under way then gets to its end, or its lease runs out."""
        try:
            while True:
                seen = self._notifications.deliveries.count
                for delivery in await self._claim():
                    task = asyncio.create_task(self._carry_out_and_complete(delivery))
                    self._under_way[task] = delivery
                    task.add_done_callback(self._done)
                # It took all that may go: the next one falls due, comes in, or gets room when one of these is done.
                await self._notifications.deliveries.wait(await self._idle_seconds(), seen)
        finally:
            await self._finish()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        # There is room at the subscriber again, and the next one of the source record may go.
        self._notifications.deliveries.wake()

    async def _claim(self) -> list[Claimed]:
        worker = self._liveness.number
        if worker is None:
            return []
        try:
            await self._look_around()
            claimed = await queue.claim(self._database, self._room(), self._limits.lease_seconds, worker=worker)
        except Unavailable:
            return []
        except Exception:
            log.exception("claim_failed")
            return []
        # The presence may have been lost meanwhile: then the others release these, and would send them as well.
        return claimed if self._liveness.number == worker else []

    def _room(self) -> queue.Room:
        batched = sum(claimed.connector in BATCHED for claimed in self._under_way.values())
        return queue.Room(
            most=max(0, self._limits.concurrency - (len(self._under_way) - batched)),
            most_batched=max(0, self._limits.batched - batched),
        )

    async def _look_around(self) -> None:
        """From time to time: what was held by a worker that is gone is due again, and a long pause is told."""
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_SECONDS
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
        if self._under_way:
            return LOOK_WHILE_BUSY_SECONDS
        try:
            seconds = await queue.seconds_to_next(self._database)
        except Unavailable:
            seconds = None
        except Exception:
            log.exception("claim_failed")
            seconds = None
        return LOOK_EVERY_SECONDS if seconds is None else min(LOOK_EVERY_SECONDS, max(0.01, seconds))

    async def _finish(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._limits.lease_seconds)

    async def _carry_out_and_complete(self, claimed: Claimed) -> None:
        recorder = AttemptRecorder()
        # What is held for the try (a connector, a contact's rows) is let go of once its outcome is written down:
        # whoever has it next must know of that.
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._limits.lease_seconds * 0.9):
                    completion = await self._carry_out(claimed, recorder, held)
            except TimeoutError:
                completion = self._decide(_too_long(claimed, was_written=recorder.wrote), claimed)
            except Unavailable as error:
                completion = self._again(claimed, error.detail, in_doubt=recorder.wrote)
            except Exception:
                log.exception("delivery_failed", extra={"delivery_id": str(claimed.key)})
                completion = self._again(claimed, CAUSES["internal_error"].meaning, in_doubt=recorder.wrote)
            kept = msgspec.structs.replace(completion, request=recorder.request, response=recorder.response)
            await self._complete(claimed, kept)

    async def _carry_out(self, claimed: Claimed, recorder: AttemptRecorder, held: AsyncExitStack) -> Completion:
        """One try: who, what, and there it goes. *held* keeps what must not be let go of before it is settled."""
        about = claimed.about
        if about is None:
            return self._again(claimed, "The event is missing.")
        subscription = await self._setup.subscription(claimed, about)
        if subscription.archived_utc is not None:
            return Completion(state="discarded", code="archived", message=CAUSES["archived"].meaning)
        known = await self._setup.subscriber(claimed, about)
        subscriber, connector = await held.enter_async_context(self._connections.of(claimed.subscriber_id, known))
        context = DeliveryContext(
            claimed=claimed,
            event=about.event,
            program_name=about.program_name,
            subscription=subscription,
            subscriber=subscriber,
            connector=connector,
            known_participant_id=about.known_participant_id,
        )
        prepared = await self._outbound_records.prepare(context, recorder, held)
        if isinstance(prepared, Completion):
            return prepared
        if not isinstance(prepared, OutboundRecord):
            return self._decide(prepared, claimed)
        outcome = await self._bring(context, prepared, recorder)
        if isinstance(outcome, Refused) and outcome.failure_class == "identity":
            await self._outbound_records.forget_participant(context)
        completion = self._decide(outcome, claimed)
        return msgspec.structs.replace(completion, payload=prepared.payload) if prepared.payload else completion

    async def _bring(self, context: DeliveryContext, outbound: OutboundRecord, recorder: AttemptRecorder) -> Outcome:
        if outbound.action == "remove":
            return await context.connector.remove(outbound, recorder)
        batch = KINDS[context.subscriber.connector].batch
        if batch is not None:
            connector = cast("Batching", context.connector)
            return await self._batches.send(context.claimed, outbound, connector, batch, recorder)
        return await context.connector.send(outbound, recorder)

    def _decide(self, outcome: Outcome | Postponed | Refused, claimed: Claimed) -> Completion:
        return decide(outcome, claimed, self._limits.retries, at=clock.now(), chance=random.random())  # noqa: S311

    def _again(self, claimed: Claimed, message: str, *, in_doubt: bool = False) -> Completion:
        """The hub itself failed; what it may have written by then is asked for by the next try."""
        failed = Postponed(code="internal_error", message=message, failure_class="hub", in_doubt=in_doubt)
        return self._decide(failed, claimed)

    async def _complete(self, claimed: Claimed, completion: Completion) -> None:
        """Write the outcome down; while the database is away, for as long as the lease lasts."""
        deadline = asyncio.get_running_loop().time() + self._limits.lease_seconds
        while True:
            try:
                settled = await self._completions.complete(claimed, completion)
                if settled.is_ours and completion.stops_subscription:
                    await self._stop_subscription(claimed.subscription_id)
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    return
                await asyncio.sleep(SETTLE_AGAIN_SECONDS)
            except Exception:
                # What came back cannot be stored. It is not tried again by itself, which would end in the same.
                log.exception("settling_failed", extra={"delivery_id": str(claimed.key)})
                if completion.code == "internal_error":
                    return
                completion = parked("internal_error", CAUSES["internal_error"].meaning, claimed, in_doubt=True)
            else:
                self._tell(claimed, settled)
                return

    async def _stop_subscription(self, subscription_id: str) -> None:
        """The subscriber wants nothing more from it: the rest is held until somebody starts it again."""
        async with self._database.transaction() as connection:
            await subscriptions.lock(connection, subscription_id)
            before = await subscriptions.find(connection, subscription_id)
            after = await subscriptions.stop(connection, subscription_id)
            if before and after:
                await audit.write(
                    connection, HUB, "update", "subscription", subscription_id, before=before, after=after
                )
        if after:
            await subscriptions.hold_stragglers(self._database, after)
            log.warning("subscription_stopped", extra={"subscription_id": subscription_id, "code": "gone"})

    def _tell(self, claimed: Claimed, settled: queue.Completed) -> None:
        completion = settled.completion
        log.info(
            "delivery_settled" if settled.is_ours else "delivery_settled_too_late",
            extra={
                "delivery_id": str(claimed.key),
                "subscription_id": claimed.subscription_id,
                "attempt": claimed.attempt_number,
                "state": completion.state,
                "code": completion.code,
            },
        )
        DELIVERIES_COMPLETED.labels(claimed.subscriber_id, completion.state, completion.code or "").inc()
        if settled.began_pause:
            code = completion.pause.code if completion.pause else None
            log.warning("subscriber_paused", extra={"subscriber_id": claimed.subscriber_id, "code": code})
        if settled.lifted_pause:
            log.info("subscriber_is_back", extra={"subscriber_id": claimed.subscriber_id})


def _too_long(claimed: Claimed, *, was_written: bool) -> Postponed | Unknown:
    """The outcome of a try that took longer than all its exchanges may."""
    message = "It took too long as a whole."
    if was_written:
        return Unknown(code="timed_out", message=message, is_final=claimed.connector in BATCHED)
    return Postponed(code="timed_out", message=message)
