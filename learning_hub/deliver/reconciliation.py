"""Reconciliation: what was sent beside what the subscriber holds, record by record."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from learning_hub.connectors.base import (
    Comparing,
    Comparison,
    Difference,
    OutboundRecord,
    Postponed,
    Refused,
    Unknown,
)
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.sibling_rows import is_keyless
from learning_hub.model.ids import delivery_id, event_id
from learning_hub.model.record_key import record_key
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import Place, TimeRange
from learning_hub.store import reconciliation
from learning_hub.store.database import Database
from learning_hub.store.reconciliation import Sent

EVENTS_AT_ONCE = 500
# In one answer, so that it stays readable for programs; the next one goes on.
MOST_RECORDS = 10_000
# So many in a row that cannot be asked for, and nothing more is asked.
MOST_FAILURES = 3
# Nothing of these says anything about the next record.
OF_ONE_RECORD = ("template_error",)
AT_ONCE = 8

Ended = Postponed | Refused | Unknown


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A source record by what was last sent of it."""

    event_id: str
    delivery_id: str
    subscriber_record_id: Annotated[str, Meta(description="Where it was when it was sent.")] | None


class DifferentRecord(Record, frozen=True, kw_only=True, rename="pascal"):
    """A record that the subscriber holds otherwise than it was sent."""

    fields: list[Difference]


class UnknownRecord(Record, frozen=True, kw_only=True, rename="pascal"):
    """A record of which it is not known whether it is there, and why."""

    message: str


class Reconciliation(msgspec.Struct, kw_only=True, rename="pascal"):
    """What the subscriber holds of what was sent; *after* is where to go on, None at the end."""

    there: int = 0
    missing: list[Record] = []
    different: list[DifferentRecord] = []
    unknown: list[UnknownRecord] = []
    after: Place | None = None

    @property
    def records(self) -> int:
        return self.there + len(self.missing) + len(self.different) + len(self.unknown)


class Reconciler:
    """Compares what a subscription sent with what its subscriber, one that is `Comparing`, holds."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def reconcile(
        self, subscription: Subscription, span: TimeRange, after: Place | None, *, seconds: float
    ) -> Reconciliation:
        """
        Ask the subscriber for each source record that was last sent with an event of *span*.

        Those that are there as they were sent are confirmed. A subscriber that cannot be asked three times in a row is
        left alone, and what remains is unknown.

        Args:
            subscription: Whose deliveries are meant; of a kind that can compare.
            span: By the time when events were created.
            after: Where an earlier one stopped.
            seconds: After which it stops, to be gone on with; one record is asked for at least.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        found = Reconciliation()
        async with self._connections.of(subscription.subscriber_id) as (subscriber, connector):
            talk = _Talk(cast("Comparing", connector), subscription, seconds)
            at_once = min(subscriber.max_concurrency, AT_ONCE)
            while True:
                looked = await reconciliation.page(self._database, subscription, span, after, EVENTS_AT_ONCE)
                sent = [(one.place, one.sent) for one in looked if one.sent is not None]
                for at in range(0, len(sent), at_once):
                    is_late = asyncio.get_running_loop().time() > deadline and not talk.is_over
                    if found.records and (is_late or found.records >= MOST_RECORDS):
                        found.after = after
                        return found
                    some = sent[at : at + at_once]
                    confirmed = await talk.ask([one for _, one in some], found)
                    await reconciliation.confirm(self._database, subscription.program_id, confirmed)
                    after = some[-1][0]
                if len(looked) < EVENTS_AT_ONCE:
                    return found
                after = looked[-1].place
                if asyncio.get_running_loop().time() > deadline and not talk.is_over:
                    found.after = after
                    return found


class _Talk:
    """Asks one subscriber, until it does not answer."""

    def __init__(self, connector: Comparing, subscription: Subscription, seconds: float) -> None:
        self._connector = connector
        self._subscription = subscription
        self._seconds = seconds
        self._failures = 0
        self._last_words = ""

    @property
    def is_over(self) -> bool:
        return self._failures >= MOST_FAILURES

    async def ask(self, some: list[Sent], found: Reconciliation) -> list[UUID]:
        """Ask for *some* side by side, add what came of it to *found*; which are there as they were sent."""
        confirmed = []
        for one, answer in zip(some, await asyncio.gather(*map(self._answer, some)), strict=True):
            record = self._record(one)
            if isinstance(answer, str):
                found.unknown.append(UnknownRecord(**record, message=answer))
            elif answer.record_id is None:
                found.missing.append(Record(**record))
            elif answer.differences:
                found.different.append(DifferentRecord(**record, fields=answer.differences))
            else:
                found.there += 1
                confirmed.append(one.delivery_uuid)
        return confirmed

    async def _answer(self, sent: Sent) -> Comparison | str:
        """How the record stands there, or why that is not known."""
        if objection := self._objection(sent):
            return objection
        if self.is_over:
            return f"The subscriber was not asked any more. {self._last_words}"
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._connector.compare(self._outbound(sent), AttemptRecorder())
        except TimeoutError:
            answer = Postponed(code="timed_out", message="The subscriber did not answer in time.")
        if isinstance(answer, Comparison):
            self._failures = 0
            return answer
        self._fail(answer)
        return answer.message

    def _fail(self, answer: Ended) -> None:
        self._last_words = answer.message
        if answer.code == "credentials_refused":
            # Signing in again and again with what is refused locks accounts out.
            self._failures = MOST_FAILURES
        elif answer.code not in OF_ONE_RECORD:
            self._failures += 1

    def _objection(self, sent: Sent) -> str | None:
        """Why the subscriber cannot be asked for this one."""
        if sent.is_under_way:
            return "Another delivery of this record is under way, or may have been carried out; look again later."
        if not sent.is_at_target:
            return "It was sent before the Target of the subscription was changed, and lies where that was."
        if sent.payload is None:
            return "What was sent is not kept."
        if sent.record_id is None and is_keyless(self._subscription.target):
            return "Which row is its own is not known: the panel has no KeyProperty."
        return None

    def _outbound(self, sent: Sent) -> OutboundRecord:
        subscription = self._subscription
        return OutboundRecord(
            delivery_id=delivery_id(subscription.program_id, sent.delivery_uuid),
            action="send",
            target=subscription.target,
            payload=sent.payload or {},
            # A record is found by its identity or its key, whoever's it is.
            participant_id="",
            record_key=record_key(
                subscription.program_id,
                subscription.subscription_id,
                sent.publisher_system_id,
                sent.publisher_event_id,
            ),
            record_id=sent.record_id,
        )

    def _record(self, sent: Sent) -> dict[str, Any]:
        program_id = self._subscription.program_id
        return {
            "event_id": event_id(program_id, sent.event_uuid),
            "delivery_id": delivery_id(program_id, sent.delivery_uuid),
            "subscriber_record_id": sent.record_id,
        }
