"""One attempt at a claimed delivery: prepare the record, send it, decide what follows, complete the delivery."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AsyncExitStack
from typing import cast

import msgspec

from learning_hub.connectors.base import Batching, OutboundRecord
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Outcome, Postponed, Refused, Unknown
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.batches import Batches
from learning_hub.deliver.completions import Completions
from learning_hub.deliver.delivery_context import DeliveryContext, DeliveryContexts
from learning_hub.deliver.outcome_policy import decide, parked
from learning_hub.deliver.record_preparation import RecordPreparation
from learning_hub.metrics import DELIVERIES_COMPLETED
from learning_hub.model import clock
from learning_hub.model.caller import HUB
from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.model.errors import Unavailable
from learning_hub.model.failure import CAUSES
from learning_hub.model.recent_keys import RecentKeys
from learning_hub.model.retry import RetryPolicy
from learning_hub.store import audit, bulk_changes, queue, subscriptions
from learning_hub.store.database import Database

log = logging.getLogger(__name__)

COMPLETE_AGAIN_SECONDS = 1.0
# How many reasons for a missing template are remembered, so that each is logged once.
MOST_LOGGED = 1000


class Attempts:
    """
    Makes attempts at claimed deliveries.

    Args:
        database: The hub's.
        contexts: Load what an attempt needs.
        preparation: Prepares the outbound record.
        policy: How failed attempts are repeated.
        lease_seconds: An attempt ends by itself before its lease does.
    """

    def __init__(
        self,
        database: Database,
        contexts: DeliveryContexts,
        preparation: RecordPreparation,
        policy: RetryPolicy,
        *,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._contexts = contexts
        self._preparation = preparation
        self._policy = policy
        self._lease_seconds = lease_seconds
        self._batches = Batches(database)
        self._completions = Completions(database)
        self._logged = RecentKeys(MOST_LOGGED)

    async def make(self, claimed: ClaimedDelivery) -> None:
        """Make one attempt and complete the delivery."""
        recorder = AttemptRecorder()
        # The connector and the lock on the contact's rows are released after the completion is stored: the next
        # delivery that uses them must see it.
        async with AsyncExitStack() as resources:
            completion = await self._completion(claimed, recorder, resources)
            await self._complete(
                claimed,
                msgspec.structs.replace(completion, request=recorder.request, response=recorder.response),
            )

    async def _completion(
        self, claimed: ClaimedDelivery, recorder: AttemptRecorder, resources: AsyncExitStack
    ) -> Completion:
        """How the attempt ended, whatever happened."""
        try:
            async with asyncio.timeout(self._lease_seconds * 0.9):
                return await self._attempt(claimed, recorder, resources)
        except TimeoutError:
            return self._decide(_too_long(claimed, was_written=recorder.wrote), claimed)
        except Unavailable as error:
            return self._hub_failed(claimed, error.detail, in_doubt=recorder.wrote)
        except Exception:
            log.exception("delivery_failed", extra={"delivery_id": str(claimed.key)})
            return self._hub_failed(claimed, CAUSES["internal_error"].meaning, in_doubt=recorder.wrote)

    async def _attempt(
        self, claimed: ClaimedDelivery, recorder: AttemptRecorder, resources: AsyncExitStack
    ) -> Completion:
        if claimed.snapshot is None:
            message = CAUSES["event_removed"].meaning
            return Completion(state="discarded", code="event_removed", message=message)
        context = await self._contexts.load(claimed, claimed.snapshot, resources)
        if isinstance(context, Completion):
            return context
        prepared = await self._preparation.prepare(context, recorder, resources)
        if isinstance(prepared, Completion):
            return prepared
        if not isinstance(prepared, OutboundRecord):
            return self._decide(prepared, claimed)
        outcome = await self._send(context, prepared, recorder)
        if isinstance(outcome, Refused) and outcome.failure_class == "identity":
            await self._preparation.forget_participant(context)
        completion = self._decide(outcome, claimed)
        return msgspec.structs.replace(completion, payload=prepared.payload) if prepared.payload else completion

    async def _send(self, context: DeliveryContext, outbound: OutboundRecord, recorder: AttemptRecorder) -> Outcome:
        if outbound.action == "remove":
            return await context.connector.remove(outbound, recorder)
        batch = KINDS[context.subscriber.connector].batch
        if batch is not None:
            connector = cast("Batching", context.connector)
            return await self._batches.send(context.claimed, outbound, connector, batch, recorder)
        return await context.connector.send(outbound, recorder)

    def _decide(self, outcome: Outcome, claimed: ClaimedDelivery) -> Completion:
        return decide(outcome, claimed, self._policy, at=clock.now(), chance=random.random())  # noqa: S311

    def _hub_failed(self, claimed: ClaimedDelivery, message: str, *, in_doubt: bool = False) -> Completion:
        """The hub itself failed; the next attempt asks for what may have been written by then."""
        failed = Postponed(code="internal_error", message=message, failure_class="hub", in_doubt=in_doubt)
        return self._decide(failed, claimed)

    async def _complete(self, claimed: ClaimedDelivery, completion: Completion) -> None:
        """Store the completion; while the database is away, try for as long as the lease lasts."""
        deadline = asyncio.get_running_loop().time() + self._lease_seconds
        while True:
            try:
                completed = await self._completions.complete(claimed, completion)
                if completed.is_ours and completion.stops_subscription:
                    await self._stop_subscription(claimed.subscription_id)
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    return
                await asyncio.sleep(COMPLETE_AGAIN_SECONDS)
            except Exception:
                # What came back cannot be stored. Another attempt would end in the same way, so a person decides.
                log.exception("settling_failed", extra={"delivery_id": str(claimed.key)})
                if completion.code == "internal_error":
                    return
                completion = parked("internal_error", CAUSES["internal_error"].meaning, claimed, in_doubt=True)
            else:
                _report(claimed, completed)
                if completed.is_ours and completion.code == "no_template":
                    self._log_no_template(claimed, completion.message)
                return

    def _log_no_template(self, claimed: ClaimedDelivery, reason: str | None) -> None:
        """Log the first delivery of each category whose template was removed before it was sent."""
        if self._logged.is_new((claimed.subscription_id, reason)):
            log.warning(
                "no_template", extra={"subscription_id": claimed.subscription_id, "deliveries": 1, "reason": reason}
            )

    async def _stop_subscription(self, subscription_id: str) -> None:
        """The subscriber refuses everything more from it: other deliveries are held until a person starts it again."""
        async with self._database.transaction() as connection:
            await subscriptions.lock(connection, subscription_id)
            before = await subscriptions.find(connection, subscription_id)
            after = await subscriptions.set_state(connection, subscription_id, "stopped")
            if before and after:
                await audit.write(
                    connection, HUB, "update", "subscription", subscription_id, before=before, after=after
                )
                await bulk_changes.begin_of_subscription(connection, after, "stop", HUB.key_id)
        if after:
            await bulk_changes.hold_stragglers(self._database, after)
            log.warning("subscription_stopped", extra={"subscription_id": subscription_id, "code": "gone"})


def _report(claimed: ClaimedDelivery, completed: queue.Completed) -> None:
    """Log and count the completion."""
    completion = completed.completion
    log.info(
        "delivery_settled" if completed.is_ours else "delivery_settled_too_late",
        extra={
            "delivery_id": str(claimed.key),
            "subscription_id": claimed.subscription_id,
            "attempt": claimed.attempt_number,
            "state": completion.state,
            "code": completion.code,
        },
    )
    DELIVERIES_COMPLETED.labels(claimed.subscriber_id, completion.state, completion.code or "").inc()
    if completed.began_pause:
        code = completion.subscriber_failure.code if completion.subscriber_failure else None
        log.warning("subscriber_paused", extra={"subscriber_id": claimed.subscriber_id, "code": code})
    if completed.lifted_pause:
        log.info("subscriber_is_back", extra={"subscriber_id": claimed.subscriber_id})


def _too_long(claimed: ClaimedDelivery, *, was_written: bool) -> Postponed | Unknown:
    """The outcome of an attempt that took longer than all its exchanges may."""
    message = "It took too long as a whole."
    if was_written:
        return Unknown(code="timed_out", message=message, is_final=KINDS[claimed.connector].batch is not None)
    return Postponed(code="timed_out", message=message)
