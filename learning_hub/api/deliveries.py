"""Deliveries over HTTP: what became of events, and what a person can do about it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.events import EXAMPLE_EVENT, NO_SUCH_EVENT
from learning_hub.api.lists import Cursor, Limit, Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS
from learning_hub.api.pauses import explained
from learning_hub.api.programs import need_program
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.api.subscribers import visible_subscriber
from learning_hub.model.delivery import Delivery, DeliveryDetail, State
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.event import example_event_id
from learning_hub.model.failure import CAUSES, FailureClass
from learning_hub.model.fields import NOT_BLANK
from learning_hub.model.ids import DeliveryKey, EventKey, read_delivery_id, read_event_id
from learning_hub.store import audit, deliveries, events, subscriptions
from learning_hub.store.deliveries import DeliveryFilter

LISTING = Listing("deliveries", ordered_by="delivery_id")
LISTING_OF_EVENT = Listing("deliveries of an event", ordered_by="delivery_id")

EXAMPLE: dict[str, Any] = {
    "DeliveryId": ID_FORMS["DeliveryId"].example,
    "EventId": example_event_id(),
    "SubscriptionId": "nurses-activities",
    "SubscriberId": "imis",
    "ProgramId": "NURSES",
    "Action": "send",
    "State": "parked",
    "Code": "participant_not_found",
    "Class": "identity",
    "Message": "There is no active contact with the e-mail address of this event.",
    "Advice": CAUSES["participant_not_found"].advice,
    "Attempts": 1,
    "CreatedUtc": "2026-11-22T08:00:00.2Z",
    "NextTryUtc": None,
    "DeliveredUtc": None,
    "ConfirmedUtc": None,
    "SubscriberRecordId": None,
}

EXAMPLE_ATTEMPT: dict[str, Any] = {
    "Number": 1,
    "StartedUtc": "2026-11-22T08:00:00.3Z",
    "EndedUtc": "2026-11-22T08:00:00.4Z",
    "Code": "participant_not_found",
    "Message": EXAMPLE["Message"],
    "Request": {
        "Method": "GET",
        "Url": "https://imis.example.org/api/PartySummary?Email=eq%3Arobin.vale%40example.org",
        "Headers": {"authorization": "***"},
        "Body": None,
    },
    "Response": {"Status": 200, "Headers": {}, "Body": "{}"},
}
EXAMPLE_DETAIL = EXAMPLE | {"Event": EXAMPLE_EVENT, "Payload": None, "AttemptLog": [EXAMPLE_ATTEMPT]}
EXAMPLE_DISCARDED = EXAMPLE | {
    "State": "discarded",
    "Code": "discarded",
    "Class": None,
    "Message": "Entered at the subscriber by hand.",
    "Advice": CAUSES["discarded"].advice,
}

NO_SUCH_DELIVERY = NotFound(f"There is no delivery {ID_FORMS['DeliveryId'].example}.")

Id = Annotated[str, Meta(min_length=1, max_length=25)]


class FilterQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are meant."""

    state: State | None = None
    subscription_id: Id | None = None
    subscriber_id: Id | None = None
    program_id: Id | None = None
    class_: Annotated[FailureClass, Meta(description="Whose move it is.")] | None = msgspec.field(
        name="Class", default=None
    )
    code: Annotated[str, Meta(max_length=50)] | None = None
    signature: (
        Annotated[str, Meta(pattern="^[0-9a-f]{12}$", description="Of a group of failures by like cause.")] | None
    ) = None
    event_id: Annotated[str, Meta(max_length=100)] | None = None


class ListQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are listed, and how many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class DiscardBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Why a delivery is not to be sent."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, pattern=NOT_BLANK)]


@route(
    Operation(
        method="GET",
        path="/deliveries",
        operation_id="listDeliveries",
        summary="List deliveries, newest first",
        tag="Delivering",
        scopes=("process", "staff"),
        query=ListQuery,
        answers=(
            Answer(
                status=200,
                meaning="A page of deliveries.",
                body=Page[Delivery],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def list_deliveries(call: Call) -> Reply:
    query = call.query(ListQuery)
    wanted = await wanted_deliveries(call, query)
    return Reply(body=await _page(call, LISTING, wanted, query))


@route(
    Operation(
        method="GET",
        path="/deliveries/{DeliveryId}",
        operation_id="getDelivery",
        summary="Read a delivery with its event and every attempt",
        tag="Delivering",
        scopes=("process", "staff"),
        answers=(Answer(status=200, meaning="The delivery.", body=DeliveryDetail, example=EXAMPLE_DETAIL),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_DELIVERY),
    )
)
async def get_delivery(call: Call) -> Reply:
    [delivery] = await explained(call.hub.database, [await need_delivery(call)])
    return Reply(body=await _detail(call, delivery))


@route(
    Operation(
        method="POST",
        path="/deliveries/{DeliveryId}/discard",
        operation_id="discardDelivery",
        summary="Decide that a delivery is not to be sent",
        tag="Delivering",
        scopes=("process", "staff"),
        body=DiscardBody,
        body_example={"Reason": "Entered at the subscriber by hand."},
        answers=(Answer(status=200, meaning="The delivery as it is now.", body=Delivery, example=EXAMPLE_DISCARDED),),
        errors=(
            NOT_FOR_PROGRAM,
            NO_SUCH_DELIVERY,
            Conflict("It is delivered and cannot be discarded.", code="cannot_discard"),
        ),
    )
)
async def discard_delivery(call: Call) -> Reply:
    before = await need_delivery(call)
    body = await call.body(DiscardBody)
    async with call.hub.database.transaction() as connection:
        after = await deliveries.discard(connection, delivery_key(call), body.reason)
        if after:
            await audit.write(
                connection, call.caller, "discard", "delivery", before.delivery_id, before=before, after=after
            )
    if after is None:
        raise Conflict(f"It is {before.state} and cannot be discarded.", code="cannot_discard")
    return Reply(body=after)


@route(
    Operation(
        method="GET",
        path="/events/{EventId}/deliveries",
        operation_id="listDeliveriesOfEvent",
        summary="What became of an event, for every subscription",
        tag="Reading",
        scopes=("read",),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="Its deliveries, newest first.",
                body=Page[Delivery],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT),
    )
)
async def list_deliveries_of_event(call: Call) -> Reply:
    query = call.query(PageQuery)
    key = read_event_id(call.path["EventId"])
    if key is None:
        raise NotFound("There is no such event: an EventId is E:{ProgramId}-{UUID}.")
    await call.hub.publisher.need_event(key, call.caller)
    return Reply(body=await _page(call, LISTING_OF_EVENT, DeliveryFilter(event=key), query))


async def _page(call: Call, listing: Listing, wanted: DeliveryFilter, query: ListQuery | PageQuery) -> Page[Delivery]:
    before = _before(listing, query.cursor)
    found = await deliveries.page(call.hub.database, wanted, before, query.limit + 1)
    return listing.page(await explained(call.hub.database, found), query.limit)


async def _detail(call: Call, delivery: Delivery) -> DeliveryDetail:
    event_key = read_event_id(delivery.event_id)
    event = await events.find_event(call.hub.database, event_key) if event_key else None
    if event is None:
        raise NotFound(f"There is no event {delivery.event_id}.")
    log, payload = await deliveries.attempts(call.hub.database, delivery_key(call))
    return DeliveryDetail(**msgspec.structs.asdict(delivery), event=event, payload=payload, attempt_log=log)


async def need_delivery(call: Call) -> Delivery:
    """The delivery of the path."""
    key = delivery_key(call)
    call.caller.need_program(key.program_id)
    delivery = await deliveries.find(call.hub.database, key)
    if delivery is None:
        raise NotFound(f"There is no delivery {key}.")
    return delivery


def delivery_key(call: Call) -> DeliveryKey:
    """The key of the delivery of the path."""
    key = read_delivery_id(call.path["DeliveryId"])
    if key is None:
        raise NotFound("There is no such delivery: a DeliveryId is {ProgramId}-{UUID}.")
    return key


async def wanted_deliveries(call: Call, query: FilterQuery) -> DeliveryFilter:
    """
    The deliveries that *query* means, of the key's Programs.

    Raises:
        NotAllowed: It names a Program that the key is not for.
        InvalidFields: It names something that there is not.
    """
    if query.program_id is not None:
        await need_program(call, query.program_id)
    event = read_event_id(query.event_id) if query.event_id is not None else None
    if event is not None:
        call.caller.need_program(event.program_id)
    if errors := await _unknown(call, query, event):
        raise InvalidFields(errors)
    programs = None if call.caller.has_every_program else list(call.caller.programs)
    return DeliveryFilter(
        programs=[query.program_id] if query.program_id is not None else programs,
        state=query.state,
        subscription_id=query.subscription_id,
        subscriber_id=query.subscriber_id,
        class_=query.class_,
        code=query.code,
        signature=query.signature,
        event=event,
    )


async def _unknown(call: Call, query: FilterQuery, event: EventKey | None) -> list[FieldError]:
    """Filters that name nothing there is: a mistyped one must not look like an empty list."""
    database, caller = call.hub.database, call.caller
    errors = []
    if query.subscription_id is not None:
        subscription = await subscriptions.find(database, query.subscription_id)
        if subscription is None or not caller.may_use(subscription.program_id):
            errors.append(FieldError("SubscriptionId", "is not a known subscription"))
    if query.subscriber_id is not None and await visible_subscriber(call, query.subscriber_id) is None:
        errors.append(FieldError("SubscriberId", "is not a known subscriber"))
    if query.event_id is not None and (event is None or await events.find_event(database, event) is None):
        errors.append(FieldError("EventId", "is not an EventId" if event is None else "is not a known event"))
    if query.code is not None and query.code not in CAUSES:
        errors.append(FieldError("Code", "is not a known code"))
    return errors


def _before(listing: Listing, cursor: str | None) -> UUID | None:
    last = listing.after(cursor)
    key = read_delivery_id(last)
    if last and key is None:
        raise listing.foreign()
    return key.delivery_uuid if key else None


ROUTES = (list_deliveries, get_delivery, discard_delivery, list_deliveries_of_event)
