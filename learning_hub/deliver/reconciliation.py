"""Reconciliation: comparing what was sent with what the subscriber holds, record by record."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from learning_hub.connectors.base import Comparing, Comparison, Difference, OutboundRecord
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Failure, Postponed
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.connections import Connections
from learning_hub.model.ids import delivery_id, event_id
from learning_hub.model.record_key import record_key
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import RangePosition, TimeRange
from learning_hub.store import reconciliation
from learning_hub.store.database import Database
from learning_hub.store.reconciliation import SentRecord

EVENTS_AT_ONCE = 500
# In one answer, so that it stays readable for programs; the caller asks for the rest.
MOST_RECORDS = 10_000
# After so many failures in a row the subscriber is not asked any more.
MOST_FAILURES = 3
# Failures that say nothing about the next record.
OF_ONE_RECORD = ("template_error",)
AT_ONCE = 8
# For the comparison of one record, which takes several exchanges at the subscriber.
RECORD_SECONDS = 25.0


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A source record, named by the delivery that last sent it."""

    event_id: str
    delivery_id: str
    subscriber_record_id: Annotated[str, Meta(description="Its id at the subscriber when it was sent.")] | None


class DifferentRecord(Record, frozen=True, kw_only=True, rename="pascal"):
    """A record that differs at the subscriber from what was sent."""

    fields: list[Difference]


class DoubledRecord(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A source record that has several records at the subscriber."""

    event_id: str
    subscriber_record_ids: Annotated[
        list[str], Meta(description="Their ids: first that of the record that the hub updates.")
    ]


class UnknownRecord(Record, frozen=True, kw_only=True, rename="pascal"):
    """A record that the subscriber could not be asked for, and why."""

    message: str


class Reconciliation(msgspec.Struct, kw_only=True, rename="pascal"):
    """How the subscriber's records compare with what was sent; *after* is where to continue, None at the end."""

    there: int = 0
    missing: list[Record] = []
    different: list[DifferentRecord] = []
    doubled: list[DoubledRecord] = []
    unknown: list[UnknownRecord] = []
    after: RangePosition | None = None

    @property
    def records(self) -> int:
        return self.there + len(self.missing) + len(self.different) + len(self.unknown)


class Reconciler:
    """Compares what a subscription sent with what its subscriber, one that is `Comparing`, holds."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def reconcile(
        self, subscription: Subscription, time_range: TimeRange, after: RangePosition | None, *, seconds: float
    ) -> Reconciliation:
        """
        Ask the subscriber for each source record that was last sent with an event of *time_range*.

        Records that the subscriber holds as they were sent are confirmed. After three failures in a row the subscriber
        is not asked any more, and the remaining records are unknown.

        Args:
            subscription: Of a subscriber whose kind can compare.
            time_range: Of the times when events were created.
            after: The position where an earlier call stopped.
            seconds: After that time it stops and returns a position to continue from; at least one record is compared.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        result = Reconciliation()
        async with self._connections.of(subscription.subscriber_id) as (subscriber, connector):
            conversation = _Conversation(
                cast("Comparing", connector),
                subscription,
                is_keyless=KINDS[subscriber.connector].is_keyless(subscription.target),
            )
            at_once = min(subscriber.max_concurrency, AT_ONCE)
            while True:
                page = await reconciliation.page(self._database, subscription, time_range, after, EVENTS_AT_ONCE)
                sent = [(event.position, event.sent) for event in page if event.sent is not None]
                for at in range(0, len(sent), at_once):
                    is_late = asyncio.get_running_loop().time() > deadline and not conversation.is_over
                    if result.records and (is_late or result.records >= MOST_RECORDS):
                        result.after = after
                        return result
                    batch = sent[at : at + at_once]
                    confirmed = await conversation.ask([record for _, record in batch], result)
                    await reconciliation.confirm(self._database, subscription.program_id, confirmed)
                    after = batch[-1][0]
                if len(page) < EVENTS_AT_ONCE:
                    return result
                after = page[-1].position
                if asyncio.get_running_loop().time() > deadline and not conversation.is_over:
                    result.after = after
                    return result


class _Conversation:
    """Asks one subscriber, until it fails three times in a row."""

    def __init__(self, connector: Comparing, subscription: Subscription, *, is_keyless: bool) -> None:
        self._is_keyless = is_keyless
        self._connector = connector
        self._subscription = subscription
        self._failures = 0
        self._last_message = ""

    @property
    def is_over(self) -> bool:
        return self._failures >= MOST_FAILURES

    async def ask(self, records: list[SentRecord], result: Reconciliation) -> list[UUID]:
        """Ask for *records* side by side, and add them to *result*; the deliveries whose records are as sent."""
        confirmed = []
        for sent, answer in zip(records, await asyncio.gather(*map(self._answer, records)), strict=True):
            record = self._record(sent)
            if isinstance(answer, str):
                result.unknown.append(UnknownRecord(**record, message=answer))
                continue
            if answer.record_id is not None and answer.surplus_record_ids:
                ids = [answer.record_id, *answer.surplus_record_ids]
                result.doubled.append(DoubledRecord(event_id=record["event_id"], subscriber_record_ids=ids))
            if answer.record_id is None:
                result.missing.append(Record(**record))
            elif answer.differences:
                result.different.append(DifferentRecord(**record, fields=answer.differences))
            else:
                result.there += 1
                confirmed.append(sent.delivery_uuid)
        return confirmed

    async def _answer(self, sent: SentRecord) -> Comparison | str:
        """How the subscriber's record compares, or why that is not known."""
        if reason := self._reason_not_to_ask(sent):
            return reason
        if self.is_over:
            return f"The subscriber was not asked any more. {self._last_message}"
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                answer = await self._connector.compare(self._outbound(sent), AttemptRecorder())
        except TimeoutError:
            answer = Postponed(code="timed_out", message="The subscriber did not answer in time.")
        if isinstance(answer, Comparison):
            self._failures = 0
            return answer
        self._fail(answer)
        return answer.message

    def _fail(self, answer: Failure) -> None:
        self._last_message = answer.message
        if answer.code == "credentials_refused":
            # Repeated sign-ins with refused credentials lock accounts out.
            self._failures = MOST_FAILURES
        elif answer.code not in OF_ONE_RECORD:
            self._failures += 1

    def _reason_not_to_ask(self, sent: SentRecord) -> str | None:
        """Why the subscriber cannot be asked for this record; None where it can."""
        if sent.is_under_way:
            return "Another delivery of this record is under way, or may have been carried out; reconcile again later."
        if not sent.is_at_target:
            return "It was sent before the Target of the subscription was changed, and lies where that was."
        if sent.payload is None:
            return "What was sent is not kept."
        if sent.record_id is None and self._is_keyless:
            return "Which row is its own is not known: the panel has no KeyProperty."
        return None

    def _outbound(self, sent: SentRecord) -> OutboundRecord:
        subscription = self._subscription
        return OutboundRecord(
            delivery_id=delivery_id(subscription.program_id, sent.delivery_uuid),
            action="send",
            target=subscription.target,
            payload=sent.payload or {},
            # The record is found by its id or its record key, not by the participant.
            participant_id="",
            record_key=record_key(
                subscription.program_id,
                subscription.subscription_id,
                sent.publisher_system_id,
                sent.publisher_event_id,
            ),
            record_id=sent.record_id,
        )

    def _record(self, sent: SentRecord) -> dict[str, Any]:
        program_id = self._subscription.program_id
        return {
            "event_id": event_id(program_id, sent.event_uuid),
            "delivery_id": delivery_id(program_id, sent.delivery_uuid),
            "subscriber_record_id": sent.record_id,
        }
