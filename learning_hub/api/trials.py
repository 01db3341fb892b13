"""Sending one event for real, now, to see what comes back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.deliveries import EXAMPLE as EXAMPLE_DELIVERY
from learning_hub.api.deliveries import EXAMPLE_ATTEMPT
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.previews import need_event_of
from learning_hub.api.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION, need_subscription_in_use
from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.delivery import Attempt, Delivery
from learning_hub.model.errors import Conflict
from learning_hub.model.event import Event, example_event_id
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import DeliveryKey, EventKey, read_delivery_id
from learning_hub.model.subscription import Subscription
from learning_hub.process.event_selection import ProcessBody, Scope
from learning_hub.store import deliveries, enqueue, pauses
from learning_hub.store.deliveries import DeliveryFilter

# Codes of deliveries of which nothing was sent, which are told as they are; what else had no try is NOT_SENT.
WHY_NOT_SENT = ("category_off", "no_template", "withdrawn", "superseded")
NOT_SENT = "not_sent"
PAUSED = "The subscriber is paused: nothing is sent to it until it is back, or a check finds that it works."
TEST_NOT_SENT = "Made for a test, and not sent: the subscriber was paused meanwhile."
LOOK_AGAIN_SECONDS = 0.1


def _not_wanted() -> Conflict:
    return Conflict("The subscription does not take events of this system and type.", code="event_not_wanted")


class TrialBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Which event to send."""

    event_id: Annotated[str, Meta(min_length=1, max_length=100)]


class Trial(Attempt, frozen=True, kw_only=True, rename="pascal"):
    """The attempt, and the delivery as it is after it."""

    delivery: Delivery


@route(
    Operation(
        method="POST",
        path="/subscriptions/{SubscriptionId}/test",
        operation_id="testSubscription",
        summary="Send one event for real, now, and show the attempt",
        description="Also when the subscription is stopped. An event that was delivered before is sent again, onto the "
        "same record. A subscriber that was away is probed first; while it stays paused, nothing is made that would be "
        "sent later. 202 where it takes longer than the hub waits.",
        tag="Delivering",
        scopes=("process", "staff", "admin"),
        body=TrialBody,
        body_example={"EventId": example_event_id()},
        answers=(
            Answer(
                status=200,
                meaning="The attempt.",
                body=Trial,
                example=EXAMPLE_ATTEMPT | {"Delivery": EXAMPLE_DELIVERY},
            ),
            Answer(
                status=202,
                meaning="It goes on; Location is the run. No body.",
                headers={"Location": "/runs/{RunId}."},
            ),
        ),
        errors=(
            NO_SUCH_SUBSCRIPTION,
            _not_wanted(),
            Conflict(PAUSED, code="subscriber_paused"),
            *(Conflict(CAUSES[code].meaning, code=code) for code in WHY_NOT_SENT),
        ),
    )
)
async def test_subscription(call: Call) -> Reply:
    subscription = await need_subscription_in_use(call)
    body = await call.body(TrialBody)
    key, event = await need_event_of(call, subscription, body.event_id)
    _need_wanted(subscription, event)
    # Before the probe, which may be this very event: then it need not be sent twice.
    was_delivered = await _was_delivered(call, subscription, key)
    deadline = asyncio.get_running_loop().time() + call.hub.settings.run_wait_seconds
    await _need_answering(call, subscription, deadline)
    await _put_back(call, subscription, key)
    request = ProcessBody(subscription_id=subscription.subscription_id, event_ids=[body.event_id], replay=was_delivered)
    scope = Scope(program_id=key.program_id, event_uuids=[key.event_uuid])
    runner = call.hub.runner
    run_id = await runner.begin(scope, [subscription], request, trigger="run", requested_by=call.caller.key_id)
    if await runner.wait(run_id, key.program_id, max(0.0, deadline - asyncio.get_running_loop().time())) is None:
        return Reply(status=202, headers={"Location": f"/runs/{run_id}"})
    newest = await _newest(call, subscription, key)
    if newest.state == "waiting":
        await _leave_no_replay(call, subscription, newest, is_replay=was_delivered and newest.action == "send")
    return Reply(body=await _trial(call, newest))


def _need_wanted(subscription: Subscription, event: Event) -> None:
    if not subscription.wants(event.publisher_system_id, event.event_type):
        raise _not_wanted()


async def _was_delivered(call: Call, subscription: Subscription, key: EventKey) -> bool:
    async with call.hub.database.connection() as connection:
        return bool(await enqueue.delivered_before(connection, subscription, key.program_id, [key.event_uuid]))


async def _need_answering(call: Call, subscription: Subscription, deadline: float) -> None:
    """
    Find out now whether a subscriber that was away is back; refused credentials are mended first.

    Raises:
        Conflict: It is paused and stays so, or nothing is known by the *deadline*, a time of the loop.
    """
    hub, subscriber_id = call.hub, subscription.subscriber_id
    probe_utc = await pauses.probe_now(hub.database, subscriber_id)
    hub.notifications.notify(hub.notifications.deliveries)
    while (pause := await pauses.find(hub.database, subscriber_id)) is not None:
        # A probe that failed puts the next one off.
        is_probed = probe_utc is None or pause.next_probe_utc is None or pause.next_probe_utc > probe_utc
        if is_probed or asyncio.get_running_loop().time() > deadline:
            raise _paused(pause)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _paused(pause: Pause) -> Conflict:
    return Conflict(f"{PAUSED} {pause.message}", code="subscriber_paused")


async def _put_back(call: Call, subscription: Subscription, key: EventKey) -> None:
    """What is parked or waits for its next try is to be sent now as well."""
    async with call.hub.database.transaction() as connection:
        wanted = DeliveryFilter(event=key, subscription_id=subscription.subscription_id)
        await deliveries.requeue(connection, wanted, limit=10)


async def _newest(call: Call, subscription: Subscription, key: EventKey) -> Delivery:
    wanted = DeliveryFilter(event=key, subscription_id=subscription.subscription_id)
    (newest, *_) = await deliveries.page(call.hub.database, wanted, None, 1)
    return newest


async def _leave_no_replay(call: Call, subscription: Subscription, newest: Delivery, *, is_replay: bool) -> None:
    """
    Tell that the subscriber was paused in this very moment; a replay would come as one too many once it is back.

    What is no replay is the subscription's own delivery and stays.
    """
    pause = await pauses.find(call.hub.database, subscription.subscriber_id)
    if pause is None:
        return
    if is_replay:
        async with call.hub.database.transaction() as connection:
            await deliveries.discard(connection, _key_of(newest), TEST_NOT_SENT)
    raise _paused(pause)


async def _trial(call: Call, newest: Delivery) -> Trial:
    log, _ = await deliveries.attempts(call.hub.database, _key_of(newest))
    if newest.code in WHY_NOT_SENT or not log:
        code = newest.code if newest.code in WHY_NOT_SENT else NOT_SENT
        raise Conflict(newest.message or f"It is {newest.state}; nothing was sent.", code=code)
    return Trial(**msgspec.structs.asdict(log[-1]), delivery=newest)


def _key_of(delivery: Delivery) -> DeliveryKey:
    key = read_delivery_id(delivery.delivery_id)
    assert key is not None  # noqa: S101 - it came out of the store
    return key


ROUTES = (test_subscription,)
