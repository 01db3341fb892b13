"""Reconciliation over HTTP: what was sent beside what the subscriber holds, and putting back what is missing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.deliveries import EXAMPLE as EXAMPLE_DELIVERY
from learning_hub.api.lists import Listing
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION, need_subscription_in_use
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.reconciliation import DifferentRecord, Reconciler, Reconciliation, Record, UnknownRecord
from learning_hub.model.clock import written
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, InvalidInput, NotFound, gathered
from learning_hub.model.fields import collect
from learning_hub.model.ids import read_event_id
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import LONGEST_DAYS, Place, TimeRange, span_between, span_of_bucket
from learning_hub.process.event_selection import ProcessBody, Scope
from learning_hub.store import pauses, subscribers

LISTING = Listing("reconciliation", ordered_by="after")
EXAMPLE_RECORD: dict[str, Any] = {
    "EventId": EXAMPLE_DELIVERY["EventId"],
    "DeliveryId": EXAMPLE_DELIVERY["DeliveryId"],
    "SubscriberRecordId": "880123",
}
EXAMPLE = {
    "There": 210,
    "Missing": [EXAMPLE_RECORD],
    "Different": [EXAMPLE_RECORD | {"Fields": [{"Field": "UNITS", "Sent": 1.5, "Held": 15}]}],
    "Unknown": [],
    "RunId": None,
    "NextCursor": None,
}
ONE_SPAN = FieldError("EventDateBucket", "or FromUtc and ToUtc are needed, and only one of them")


def _not_supported(kind: str) -> InvalidInput:
    return InvalidInput(
        f"A subscriber of the kind {kind} cannot be asked what it holds; iMIS can.", code="not_supported"
    )


def paused(subscriber_id: str, since: str, message: str, then: str) -> Conflict:
    """The error where a paused subscriber would have to be asked; *then* says what to do once it is back."""
    return Conflict(
        f"{subscriber_id} is paused since {since}, so it is not asked either. {message} Mend that, or wait until it is "
        f"back; then {then}.",
        code="subscriber_paused",
    )


class ReconcileBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which events are meant, by the time when the hub stored them: a bucket, or a span of time."""

    event_date_bucket: Annotated[str, Meta(max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None = None
    from_utc: Annotated[datetime, Meta(description="Events stored from then on.")] | None = None
    to_utc: (
        Annotated[datetime, Meta(description=f"Events stored before then; {LONGEST_DAYS} days later at most.")] | None
    ) = None
    put_back: Annotated[bool, Meta(description="Send again what is missing: each as a new delivery.")] = False
    cursor: Annotated[str, Meta(max_length=500, description="NextCursor of the answer before.")] | None = None


class ReconcileAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What the subscriber holds of what was sent. It is whole once NextCursor is null."""

    there: Annotated[int, Meta(description="Records that are there as they were sent.")]
    missing: Annotated[list[Record], Meta(description="Records that are not there.")]
    different: Annotated[list[DifferentRecord], Meta(description="Records that are there otherwise than sent.")]
    unknown: Annotated[list[UnknownRecord], Meta(description="Records that could not be asked for.")]
    run_id: Annotated[str, Meta(description="Of the run that sends again what is missing.")] | None
    next_cursor: (
        Annotated[str, Meta(description="There are more: the Cursor of the next request, for the same events.")] | None
    )


@route(
    Operation(
        method="POST",
        path="/subscriptions/{SubscriptionId}/reconcile",
        operation_id="reconcileSubscription",
        summary="Compare what was sent with what the subscriber holds",
        description="Asks iMIS for every source record that was last sent with an event of the bucket or span; other "
        "kinds of subscribers cannot be asked. What is there as it was sent is confirmed (`ConfirmedUtc`). Records "
        "whose last delivery took them back are left out. It answers after about 25 seconds at the latest: with a "
        "`NextCursor` where there is more to ask for, which goes on with the same body and that `Cursor`.",
        tag="Delivering",
        scopes=("process", "staff"),
        body=ReconcileBody,
        body_example={"EventDateBucket": "NURSES-LB-20261122"},
        answers=(Answer(status=200, meaning="What is there.", body=ReconcileAnswer, example=EXAMPLE),),
        errors=(
            NO_SUCH_SUBSCRIPTION,
            InvalidFields([ONE_SPAN]),
            _not_supported("webhook"),
            paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", "reconcile again"),
        ),
    )
)
async def reconcile_subscription(call: Call) -> Reply:
    subscription = await need_subscription_in_use(call)
    body, span, after = await _read(call, subscription)
    await _need_answerable(call, subscription)
    reconciler = Reconciler(call.hub.database, call.hub.connections)
    found = await reconciler.reconcile(subscription, span, after, seconds=call.hub.settings.run_wait_seconds)
    run_id = await _put_back(call, subscription, found) if body.put_back and found.missing else None
    return Reply(
        body=ReconcileAnswer(
            there=found.there,
            missing=found.missing,
            different=found.different,
            unknown=found.unknown,
            run_id=run_id,
            next_cursor=LISTING.cursor(found) if found.after else None,
        )
    )


async def _read(call: Call, subscription: Subscription) -> tuple[ReconcileBody, TimeRange, Place | None]:
    """
    What is asked for, the span of the events, and where to go on.

    Raises:
        InvalidFields: With every bad field.
    """
    values, errors = collect(await call.fields(), ReconcileBody)
    body, span, after = ReconcileBody(**values), None, None
    if not {error.field for error in errors} & {"EventDateBucket", "FromUtc", "ToUtc"}:
        with gathered(errors):
            span = _span(body, subscription.program_id)
    with gathered(errors):
        after = _read_cursor(body.cursor)
    if errors or span is None:
        raise InvalidFields(errors)
    return body, span, after


def _span(body: ReconcileBody, program_id: str) -> TimeRange:
    has_times = body.from_utc is not None or body.to_utc is not None
    if has_times == (body.event_date_bucket is not None):
        raise InvalidFields([ONE_SPAN])
    if body.event_date_bucket is not None:
        return span_of_bucket(body.event_date_bucket, program_id)
    return span_between(body.from_utc, body.to_utc)


async def _need_answerable(call: Call, subscription: Subscription) -> None:
    """Go on only if the subscriber can be asked, and may be asked now."""
    subscriber = await subscribers.find(call.hub.database, subscription.subscriber_id)
    if subscriber is None:
        raise NotFound(f"There is no subscriber {subscription.subscriber_id}.")
    kind = KINDS.get(subscriber.connector)
    if kind is None or not kind.can_compare:
        raise _not_supported(subscriber.connector)
    pause = await pauses.find(call.hub.database, subscriber.subscriber_id)
    if pause is not None:
        raise paused(subscriber.subscriber_id, written(pause.since_utc), pause.message, "reconcile again")


async def _put_back(call: Call, subscription: Subscription, found: Reconciliation) -> str:
    """Send the events of what is missing again, as `Replay` does; the run's id."""
    event_ids = [record.event_id for record in found.missing]
    keys = [key for key in map(read_event_id, event_ids) if key is not None]
    return await call.hub.runner.begin(
        Scope(program_id=subscription.program_id, event_uuids=[key.event_uuid for key in keys]),
        [subscription],
        ProcessBody(subscription_id=subscription.subscription_id, event_ids=event_ids, replay=True),
        trigger="processEvents",
        requested_by=call.caller.key_id,
    )


def _read_cursor(cursor: str | None) -> Place | None:
    text = LISTING.after(cursor)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Place)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise LISTING.foreign() from None


ROUTES = (reconcile_subscription,)
