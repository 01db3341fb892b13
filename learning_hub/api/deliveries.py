"""Deliveries over HTTP: read them, requeue them, discard them."""

from __future__ import annotations

from typing import Any

from litestar.di import NamedDependency

from learning_hub.api.event_examples import EXAMPLE_EVENT, NO_SUCH_EVENT
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.delivery import Delivery, DeliveryDetail
from learning_hub.model.errors import NotFound
from learning_hub.model.event import example_event_id
from learning_hub.model.failure import CAUSES
from learning_hub.model.failure_group import Group
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.services.deliveries import (
    Deliveries,
    DiscardBody,
    Discarded,
    EventDeliveries,
    Requeued,
    cannot_discard,
    cannot_requeue_state,
)
from learning_hub.services.delivery_filters import DeliveriesQuery, DiscardQuery, GroupsQuery, RequeueQuery

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
EXAMPLE_WAITING: dict[str, Any] = EXAMPLE | {
    "State": "waiting",
    "Code": None,
    "Class": None,
    "Message": None,
    "Advice": None,
    "NextTryUtc": "2026-11-22T09:00:00Z",
}
EXAMPLE_GROUP: dict[str, Any] = {
    "Kind": "failures",
    "ProgramId": "NURSES",
    "SubscriberId": "imis",
    "SubscriptionId": "nurses-activities",
    "Code": "template_error",
    "Class": "mapping",
    "Message": 'decimal needs a number and got "ten" (at Online.Units)',
    "Advice": CAUSES["template_error"].advice,
    "Signature": "3f1c0a9be7d2",
    "Count": 212,
    "FirstUtc": "2026-11-22T14:03:00Z",
    "LastUtc": "2026-11-22T15:41:07Z",
    "Example": {"DeliveryId": EXAMPLE["DeliveryId"], "EventId": EXAMPLE["EventId"]},
}
EXAMPLE_PAUSE = EXAMPLE_GROUP | {
    "Kind": "pause",
    "SubscriptionId": None,
    "Code": "connection_failed",
    "Class": "unavailable",
    "Message": "The hub could not reach iMIS to sign in.",
    "Advice": CAUSES["connection_failed"].advice,
    "Signature": None,
    "Count": 40,
    "Example": None,
}

LIST_GROUPS = Operation(
    method="GET",
    path="/deliveries/groups",
    operation_id="listGroups",
    summary="List failed deliveries, grouped by cause",
    description="A group holds the retrying and parked deliveries of one subscription that have the same code and the "
    "same message, apart from values that differ from event to event. The hub's own faults come first, then pauses of "
    "subscribers that last, then the rest; within each, the largest group comes first. `Signature` filters the list "
    "of deliveries, and selects deliveries to requeue together.",
    tag="Delivering",
    scopes=("process", "staff"),
    query=GroupsQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A page of groups.",
            body=Page[Group],
            example={"Items": [EXAMPLE_PAUSE, EXAMPLE_GROUP], "NextCursor": None},
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)
LIST_DELIVERIES = Operation(
    method="GET",
    path="/deliveries",
    operation_id="listDeliveries",
    summary="List deliveries, newest first",
    tag="Delivering",
    scopes=("process", "staff"),
    query=DeliveriesQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A page of deliveries.",
            body=Page[Delivery],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)
REQUEUE_DELIVERIES = Operation(
    method="POST",
    path="/deliveries/requeue",
    operation_id="requeueDeliveries",
    summary="Requeue all deliveries that match the filters",
    description="Requeues parked deliveries, retrying deliveries (which are then sent at once), and deliveries skipped "
    "for their template or a reopening. Each is rendered again with the current template. A delivery for which a newer "
    "one exists is superseded instead. Many are requeued in batches after the response; `RunIds` then name the runs "
    "that do it.",
    tag="Delivering",
    scopes=("process", "staff"),
    query=RequeueQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="The deliveries are requeued, or will be.",
            body=Requeued,
            example={"Requeued": 212, "RunIds": [ID_FORMS["RunId"].example]},
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)
DISCARD_DELIVERIES = Operation(
    method="POST",
    path="/deliveries/discard",
    operation_id="discardDeliveries",
    summary="Discard all parked or skipped deliveries that match the filters",
    description="The deliveries will not be sent; this is final. Only parked and skipped ones are discarded, because a "
    "worker may send the others meanwhile. Many are discarded in batches after the response; `RunIds` then name the "
    "runs that do it.",
    tag="Delivering",
    scopes=("process", "staff"),
    query=DiscardQuery,
    body=DiscardBody,
    body_example={"Reason": "Entered at the subscriber by hand."},
    responses=(
        ResponseSpec(
            status=200,
            meaning="The deliveries are discarded, or will be.",
            body=Discarded,
            example={"Discarded": 212, "RunIds": [ID_FORMS["RunId"].example]},
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)
GET_DELIVERY = Operation(
    method="GET",
    path="/deliveries/{DeliveryId}",
    operation_id="getDelivery",
    summary="Read a delivery with its event and every attempt",
    tag="Delivering",
    scopes=("process", "staff"),
    responses=(ResponseSpec(status=200, meaning="The delivery.", body=DeliveryDetail, example=EXAMPLE_DETAIL),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_DELIVERY),
)
REQUEUE_DELIVERY = Operation(
    method="POST",
    path="/deliveries/{DeliveryId}/requeue",
    operation_id="requeueDelivery",
    summary="Requeue a delivery",
    description="The delivery is rendered again with the current template. A delivery for which a newer one exists is "
    "superseded instead.",
    tag="Delivering",
    scopes=("process", "staff"),
    responses=(ResponseSpec(status=200, meaning="The delivery as it is now.", body=Delivery, example=EXAMPLE_WAITING),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_DELIVERY, cannot_requeue_state("delivered")),
)
DISCARD_DELIVERY = Operation(
    method="POST",
    path="/deliveries/{DeliveryId}/discard",
    operation_id="discardDelivery",
    summary="Discard a delivery: it will not be sent",
    tag="Delivering",
    scopes=("process", "staff"),
    body=DiscardBody,
    body_example={"Reason": "Entered at the subscriber by hand."},
    responses=(
        ResponseSpec(status=200, meaning="The delivery as it is now.", body=Delivery, example=EXAMPLE_DISCARDED),
    ),
    errors=(
        NOT_FOR_PROGRAM,
        NO_SUCH_DELIVERY,
        cannot_discard("delivered"),
    ),
)
LIST_DELIVERIES_OF_EVENT = Operation(
    method="GET",
    path="/events/{EventId}/deliveries",
    operation_id="listDeliveriesOfEvent",
    summary="List the deliveries of an event",
    tag="Reading",
    scopes=("read",),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Its deliveries, newest first.",
            body=EventDeliveries,
            example={"Items": [EXAMPLE], "NextCursor": None, "Message": None},
        ),
    ),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT),
)


class DeliveryController(ApiController):
    """Deliveries."""

    @route(LIST_GROUPS)
    async def list_groups(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        return ApiResponse(await deliveries.groups(request.caller, request.read_query(GroupsQuery)))

    @route(LIST_DELIVERIES)
    async def list_deliveries(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        return ApiResponse(await deliveries.page(request.caller, request.read_query(DeliveriesQuery)))

    @route(REQUEUE_DELIVERIES)
    async def requeue_deliveries(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        return ApiResponse(await deliveries.requeue_all(request.caller, request.read_query(RequeueQuery)))

    @route(DISCARD_DELIVERIES)
    async def discard_deliveries(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        query, fields = request.read_query(DiscardQuery), await request.read_fields()
        return ApiResponse(await deliveries.discard_all(request.caller, query, fields))

    @route(GET_DELIVERY)
    async def get_delivery(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        return ApiResponse(await deliveries.get(request.caller, request.path_id("DeliveryId")))

    @route(REQUEUE_DELIVERY)
    async def requeue_delivery(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        return ApiResponse(await deliveries.requeue(request.caller, request.path_id("DeliveryId")))

    @route(DISCARD_DELIVERY)
    async def discard_delivery(self, request: ApiRequest, deliveries: NamedDependency[Deliveries]) -> ApiResponse:
        delivery_id, fields = request.path_id("DeliveryId"), await request.read_fields()
        return ApiResponse(await deliveries.discard(request.caller, delivery_id, fields))

    @route(LIST_DELIVERIES_OF_EVENT)
    async def list_deliveries_of_event(
        self, request: ApiRequest, deliveries: NamedDependency[Deliveries]
    ) -> ApiResponse:
        query = request.read_query(PageQuery)
        return ApiResponse(await deliveries.page_of_event(request.caller, request.path_id("EventId"), query))
