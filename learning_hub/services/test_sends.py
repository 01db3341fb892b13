"""Test sends: send one event to a subscriber at once, to see its response."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.caller import Caller
from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.delivery import Attempt, Delivery
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.errors import Conflict
from learning_hub.model.fields import read_struct
from learning_hub.model.ids import DeliveryKey, EventKey, read_delivery_id
from learning_hub.model.run import ProcessBody
from learning_hub.model.subscription import Subscription
from learning_hub.process.event_selection import EventSelection
from learning_hub.process.runner import Runner
from learning_hub.services.events import need_event_of
from learning_hub.services.requeue import requeue_now
from learning_hub.services.runs import Unfinished
from learning_hub.services.subscriptions import need_subscription_in_use
from learning_hub.services.waiting_reasons import with_reasons
from learning_hub.store import deliveries, enqueue, pauses
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

# Codes of deliveries of which nothing was sent, used as problem codes; without an attempt the code is NOT_SENT.
WHY_NOT_SENT = ("category_off", "no_template", "withdrawn", "superseded")
NOT_SENT = "not_sent"
PAUSED = "The subscriber is paused: nothing is sent to it until it is back, or a check finds that it works."
TEST_NOT_SENT = "The delivery was made for a test send, and was not sent: the subscriber was paused meanwhile."
POLL_SECONDS = 0.1
# An event has a delivery for each action, and one more for each replay.
MOST_REQUEUED = 10


class TestSendBody(msgspec.Struct, frozen=True, rename="pascal"):
    """The event to send."""

    event_id: Annotated[str, Meta(min_length=1, max_length=100)]


class TestSend(Attempt, frozen=True, kw_only=True, rename="pascal"):
    """The attempt, and the delivery after it."""

    delivery: Delivery


class TestSends:
    """Sends single events; a worker of any process must be running. *wait_seconds*: how long to wait for an attempt."""

    def __init__(
        self, database: Database, runner: Runner, notifications: Notifications, *, wait_seconds: float
    ) -> None:
        self._database = database
        self._runner = runner
        self._notifications = notifications
        self._wait_seconds = wait_seconds

    async def send(self, caller: Caller, subscription_id: str, fields: Mapping[str, Raw]) -> TestSend | Unfinished:
        """
        Send an event to the subscriber of a subscription, even if the subscription is stopped.

        An event that was delivered before is sent again, onto the same record. A subscriber that was away is probed
        first; while it stays paused, no delivery is made.

        Args:
            caller: The person who tests.
            subscription_id: The subscription.
            fields: The fields of a TestSendBody, as sent.

        Raises:
            NotFound: As for `need_subscription_in_use`.
            InvalidFields: With every bad field.
            Conflict: The subscription does not take the event, the subscriber is paused, or nothing was sent.
        """
        subscription = await need_subscription_in_use(self._database, caller, subscription_id)
        body = read_struct(fields, TestSendBody)
        key, event = await need_event_of(self._database, subscription, body.event_id)
        if not subscription.wants(event.publisher_system_id, event.event_type):
            raise event_not_wanted()
        # Before the probe, which may send this very event: then it need not be sent twice.
        was_delivered = await self._was_delivered(subscription, key)
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        await self._probe(subscription.subscriber_id, deadline)
        # What is parked or retrying of the event is sent at once as well.
        existing = await deliveries.page(self._database, _of_event(subscription, key), None, MOST_REQUEUED)
        await requeue_now(self._database, self._notifications, caller, [_key_of(each) for each in existing])
        run_id = await self._runner.begin(
            EventSelection(program_id=key.program_id, event_uuids=[key.event_uuid]),
            [subscription],
            ProcessBody(subscription_id=subscription_id, event_ids=[body.event_id], replay=was_delivered),
            trigger="run",
            requested_by=caller.key_id,
        )
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        if await self._runner.wait(run_id, key.program_id, left) is None:
            return Unfinished(run_id)
        newest = await self._newest(subscription, key)
        if newest.state == "waiting":
            await self._discard_replay(subscription, newest, is_replay=was_delivered and newest.action == "send")
        return await self._result(newest)

    async def _was_delivered(self, subscription: Subscription, key: EventKey) -> bool:
        async with self._database.connection() as connection:
            return bool(await enqueue.delivered_before(connection, subscription, key.program_id, [key.event_uuid]))

    async def _probe(self, subscriber_id: str, deadline: float) -> None:
        """
        Probe a subscriber that was away; a pause for refused credentials ends only with new ones.

        Raises:
            Conflict: The subscriber stays paused, or the probe has no result by the *deadline*, a time of the loop.
        """
        probe_utc = await pauses.probe_now(self._database, subscriber_id)
        self._notifications.notify(self._notifications.deliveries)
        while (pause := await pauses.find(self._database, subscriber_id)) is not None:
            # A probe that failed postpones the next one.
            is_probed = probe_utc is None or pause.next_probe_utc is None or pause.next_probe_utc > probe_utc
            if is_probed or asyncio.get_running_loop().time() > deadline:
                raise _paused(pause)
            await asyncio.sleep(POLL_SECONDS)

    async def _newest(self, subscription: Subscription, key: EventKey) -> Delivery:
        (newest, *_) = await deliveries.page(self._database, _of_event(subscription, key), None, 1)
        return newest

    async def _discard_replay(self, subscription: Subscription, newest: Delivery, *, is_replay: bool) -> None:
        """
        Report that the subscriber was paused meanwhile, and discard a replay, which would be sent again needlessly.

        A delivery that is not a replay belongs to the subscription and stays.
        """
        pause = await pauses.find(self._database, subscription.subscriber_id)
        if pause is None:
            return
        if is_replay:
            async with self._database.transaction() as connection:
                await deliveries.discard(connection, _key_of(newest), TEST_NOT_SENT)
        raise _paused(pause)

    async def _result(self, newest: Delivery) -> TestSend:
        attempts, _ = await deliveries.attempts(self._database, _key_of(newest))
        if newest.code in WHY_NOT_SENT or not attempts:
            code = newest.code if newest.code in WHY_NOT_SENT else NOT_SENT
            raise Conflict(newest.message or f"The delivery is {newest.state}; nothing was sent.", code=code)
        [explained] = await with_reasons(self._database, [newest])
        return TestSend(**msgspec.structs.asdict(attempts[-1]), delivery=explained)


def event_not_wanted() -> Conflict:
    """The error for an event that the subscription does not take."""
    return Conflict("The subscription does not take events of this system and type.", code="event_not_wanted")


def _of_event(subscription: Subscription, key: EventKey) -> DeliveryFilter:
    return DeliveryFilter(event=key, subscription_id=subscription.subscription_id)


def _paused(pause: Pause) -> Conflict:
    return Conflict(f"{PAUSED} {pause.message}", code="subscriber_paused")


def _key_of(delivery: Delivery) -> DeliveryKey:
    key = read_delivery_id(delivery.delivery_id)
    assert key is not None  # noqa: S101 - it came out of the store
    return key
