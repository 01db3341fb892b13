"""The worker: claim, resolve, render, send, settle, as named steps."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from learning_hub.connectors.base import (
    Connector,
    Outcome,
    ParticipantFound,
    Postponed,
    Refused,
    Shipment,
    Unknown,
)
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.deciding import Retries, decide, parked, parked_for_template, stepped_aside
from learning_hub.deliver.journal import AttemptJournal
from learning_hub.deliver.neighbours import Neighbours, is_keyless
from learning_hub.deliver.participants import Participants
from learning_hub.deliver.payloads import NotSent, Payloads
from learning_hub.metrics import DELIVERIES_SETTLED
from learning_hub.model import clock
from learning_hub.model.delivery import Claimed, Settlement
from learning_hub.model.errors import LearningHubError, TemplateError, Unavailable
from learning_hub.model.event import Event
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import EventKey, record_key
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.store import events, queue, subscriptions
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database
from learning_hub.store.presence import Presence

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
SETTLE_AGAIN_SECONDS = 1.0


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """*concurrency*: deliveries under way at once in this process; a try ends by itself before its lease does."""

    lease_seconds: float
    retries: Retries
    concurrency: int = 32


class Worker:
    """Carries out deliveries that are due; any number of them may run on one database."""

    def __init__(
        self,
        database: Database,
        bells: Bells,
        connections: Connections,
        participants: Participants,
        payloads: Payloads,
        limits: WorkerLimits,
    ) -> None:
        self._database = database
        self._bells = bells
        self._connections = connections
        self._participants = participants
        self._payloads = payloads
        self._neighbours = Neighbours(database)
        self._limits = limits
        self._presence = Presence(database)
        self._under_way: set[asyncio.Task[None]] = set()

    async def be_present(self) -> None:
        """Show the other workers that this one lives, until cancelled; without that it claims nothing."""
        await self._presence.keep(on_lost=self._let_go)

    def _let_go(self) -> None:
        """The others take this worker for gone and will ask what became of its tries: none of them may go on."""
        for task in self._under_way:
            task.cancel()

    async def run(self) -> None:
        """Claim and carry out, until cancelled; what is under way then gets to its end, or its lease runs out."""
        try:
            while True:
                rung = self._bells.deliveries.count
                claimed = await self._claim()
                for delivery in claimed:
                    task = asyncio.create_task(self._carry_out_and_settle(delivery))
                    self._under_way.add(task)
                    task.add_done_callback(self._done)
                if not claimed:
                    await self._bells.deliveries.wait(await self._idle_seconds(), rung)
        finally:
            await self._finish()

    async def release(self) -> None:
        """Take back what workers that are gone held, until cancelled."""
        while True:
            try:
                retries = self._limits.retries
                released = await queue.release_expired(self._database, retries.settle_seconds, retries.steps_seconds)
                if released:
                    log.warning("leases_expired", extra={"deliveries": released})
                    self._bells.ring(self._bells.deliveries)
            except LearningHubError:
                pass
            except Exception:
                log.exception("release_failed")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        # There is room at the subscriber again, and the next one of the source record may go.
        self._bells.deliveries.ring()

    async def _claim(self) -> list[Claimed]:
        room = self._limits.concurrency - len(self._under_way)
        worker = self._presence.number
        if room <= 0 or worker is None:
            return []
        try:
            claimed = await queue.claim(self._database, room, self._limits.lease_seconds, worker=worker)
        except Unavailable:
            return []
        except Exception:
            log.exception("claim_failed")
            return []
        # The presence may have been lost meanwhile: then the others release these, and would send them as well.
        return claimed if self._presence.number == worker else []

    async def _idle_seconds(self) -> float:
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

    async def _carry_out_and_settle(self, claimed: Claimed) -> None:
        journal = AttemptJournal()
        # What is held for the try (a connector, a contact's rows) is let go of once its outcome is written down:
        # whoever has it next must know of that.
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._limits.lease_seconds * 0.9):
                    settlement = await self._carry_out(claimed, journal, held)
            except TimeoutError:
                settlement = self._decide(_too_long(was_written=journal.wrote), claimed)
            except Unavailable as error:
                settlement = self._again(claimed, error.detail, in_doubt=journal.wrote)
            except Exception:
                log.exception("delivery_failed", extra={"delivery_id": str(claimed.key)})
                settlement = self._again(claimed, CAUSES["internal_error"].meaning, in_doubt=journal.wrote)
            kept = msgspec.structs.replace(settlement, request=journal.request, response=journal.response)
            await self._settle(claimed, kept)

    async def _carry_out(self, claimed: Claimed, journal: AttemptJournal, held: AsyncExitStack) -> Settlement:
        """One try: who, what, and there it goes. *held* keeps what must not be let go of before it is settled."""
        subscription = await subscriptions.find(self._database, claimed.subscription_id)
        event = await events.find_event(self._database, EventKey(claimed.key.program_id, claimed.event_uuid))
        if subscription is None or event is None:
            return self._again(claimed, "The event or the subscription is missing.")
        if subscription.archived_utc is not None:
            return Settlement(state="discarded", code="archived", message=CAUSES["archived"].meaning)
        subscriber, connector = await held.enter_async_context(self._connections.of(claimed.subscriber_id))
        if claimed.action == "remove" and (claimed.record_id or not is_keyless(subscription.target)):
            # Its record is found without the participant, who may not be there any more.
            shipment = self._shipment(claimed, subscription.target, "", {}, None)
            return self._decide(await connector.remove(shipment, journal), claimed)
        return await self._bring(claimed, subscription, subscriber, connector, event, journal, held)

    async def _bring(
        self,
        claimed: Claimed,
        subscription: Subscription,
        subscriber: Subscriber,
        connector: Connector,
        event: Event,
        journal: AttemptJournal,
        held: AsyncExitStack,
    ) -> Settlement:
        who = await self._participants.resolve(connector, subscriber, event, journal)
        if not isinstance(who, ParticipantFound):
            return self._decide(who, claimed)
        participant_id = who.participant_id
        payload: dict[str, Any] = {}
        if claimed.action == "send":
            try:
                rendered = await self._payloads.payload(subscription, subscriber, event, participant_id)
            except TemplateError as error:
                return parked_for_template(error, claimed)
            if isinstance(rendered, NotSent):
                return Settlement(state="skipped", code=rendered.code, message=CAUSES[rendered.code].meaning)
            payload = rendered
        try:
            async with asyncio.timeout(self._limits.lease_seconds * 0.3):
                others = await held.enter_async_context(
                    self._neighbours.of(claimed, subscription.target, participant_id)
                )
        except TimeoutError:
            return stepped_aside(claimed, at=clock.now())
        shipment = self._shipment(claimed, subscription.target, participant_id, payload, others)
        carry_out = connector.send if claimed.action == "send" else connector.remove
        outcome = await carry_out(shipment, journal)
        if isinstance(outcome, Refused) and outcome.failure_class == "identity":
            await self._participants.forget(subscriber.subscriber_id, event)
        settlement = self._decide(outcome, claimed)
        return msgspec.structs.replace(settlement, payload=payload) if payload else settlement

    @staticmethod
    def _shipment(
        claimed: Claimed,
        target: dict[str, Any],
        participant_id: str,
        payload: dict[str, Any],
        others: frozenset[str] | None,
    ) -> Shipment:
        return Shipment(
            delivery_id=str(claimed.key),
            action=claimed.action,
            target=target,
            payload=payload,
            participant_id=participant_id,
            record_key=record_key(
                claimed.key.program_id,
                claimed.subscription_id,
                claimed.publisher_system_id,
                claimed.publisher_event_id,
            ),
            record_id=claimed.record_id,
            # Cheap and safe: whatever was tried before for this source record may be there.
            outcome_unknown=claimed.tried_before and claimed.record_id is None,
            others_record_ids=others,
        )

    def _decide(self, outcome: Outcome | Postponed | Refused, claimed: Claimed) -> Settlement:
        return decide(outcome, claimed, self._limits.retries, at=clock.now(), chance=random.random())  # noqa: S311

    def _again(self, claimed: Claimed, message: str, *, in_doubt: bool = False) -> Settlement:
        """The hub itself failed; what it may have written by then is asked for by the next try."""
        failed = Postponed(code="internal_error", message=message, failure_class="hub", in_doubt=in_doubt)
        return self._decide(failed, claimed)

    async def _settle(self, claimed: Claimed, settlement: Settlement) -> None:
        """Write the outcome down; while the database is away, for as long as the lease lasts."""
        deadline = asyncio.get_running_loop().time() + self._limits.lease_seconds
        while True:
            try:
                is_ours = await queue.settle(self._database, claimed, settlement)
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    return
                await asyncio.sleep(SETTLE_AGAIN_SECONDS)
            except Exception:
                # What came back cannot be stored. It is not tried again by itself, which would end in the same.
                log.exception("settling_failed", extra={"delivery_id": str(claimed.key)})
                if settlement.code == "internal_error":
                    return
                settlement = parked("internal_error", CAUSES["internal_error"].meaning, claimed, in_doubt=True)
            else:
                self._log(claimed, settlement, is_ours=is_ours)
                DELIVERIES_SETTLED.labels(claimed.subscriber_id, settlement.state, settlement.code or "").inc()
                return

    @staticmethod
    def _log(claimed: Claimed, settlement: Settlement, *, is_ours: bool) -> None:
        log.info(
            "delivery_settled" if is_ours else "delivery_settled_too_late",
            extra={
                "delivery_id": str(claimed.key),
                "subscription_id": claimed.subscription_id,
                "attempt": claimed.attempt_number,
                "state": settlement.state,
                "code": settlement.code,
            },
        )


def _too_long(*, was_written: bool) -> Postponed | Unknown:
    """The outcome of a try that took longer than all its exchanges may."""
    message = "It took too long as a whole."
    if was_written:
        return Unknown(code="timed_out", message=message)
    return Postponed(code="timed_out", message=message)
