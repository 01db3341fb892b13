"""Subscriptions over HTTP."""

from __future__ import annotations

from typing import Any

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import MERGE_PATCH_TEXT, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.pagination import Page
from learning_hub.model.subscription import SavedSubscription, Subscription, SubscriptionBody
from learning_hub.services.subscriptions import (
    Subscriptions,
    SubscriptionsQuery,
    no_such_subscription,
    still_archiving,
    subscription_fixed,
)

EXAMPLE_BODY: dict[str, Any] = {
    "Name": "Completions to iMIS",
    "SubscriberId": "imis",
    "ProgramId": "NURSES",
    "PublisherSystemId": None,
    "EventTypes": ["AI_COMP_SUCCESS"],
    "Target": {"Kind": "activity"},
    "Templates": {
        "Online": {
            "ActivityType": "TCLEARNING",
            "Source": "TopClass",
            "Subtype": "{{ data['Activity Code'] | must_have }}",
            "Description": "{{ data['Activity Title'] }}",
            "EffectiveDate": "{{ event.EventEndUtc | imis_datetime }}",
            "Units": "{{ data['Credits'] | default: nil | decimal }}",
        },
        "External Training": None,
    },
    "Schedule": "realtime",
    "StartFrom": "now",
    "State": "started",
}
EXAMPLE: dict[str, Any] = {
    "SubscriptionId": ID_FORMS["SubscriptionId"].example,
    **{name: value for name, value in EXAMPLE_BODY.items() if name not in ("StartFrom", "State")},
    "TimeZone": "UTC",
    "OnWithdraw": "keep",
    "OnReopened": "ignore",
    "State": "started",
    "StartFrom": "now",
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "ChangedUtc": "2026-11-22T08:00:00Z",
    "ArchivedUtc": None,
}


EXAMPLE_SAVED = EXAMPLE | {"Warnings": []}
NO_SUCH_SUBSCRIPTION = no_such_subscription(ID_FORMS["SubscriptionId"].example)
NEEDED = ("Name", "SubscriberId", "ProgramId", "EventTypes", "Target", "Templates")
STILL_ARCHIVING = {"subscription_id": ID_FORMS["SubscriptionId"].example, "run_id": ID_FORMS["RunId"].example}
LEFT_OUT = InvalidFields([FieldError(field, "is required") for field in NEEDED])

PUT_SUBSCRIPTION = Operation(
    method="PUT",
    path="/subscriptions/{SubscriptionId}",
    operation_id="putSubscription",
    summary="Make or change a subscription",
    description=(
        "Name, SubscriberId, ProgramId, EventTypes, Target and Templates are required, unless a Preset gives them. "
        "Any other field that is left out is set to its default, even if the subscription had another value; only "
        "State and StartFrom keep their values. SubscriberId, ProgramId and StartFrom cannot be changed later. "
        "Templates are compiled and compared with the target, for which the hub asks iMIS for the current columns; "
        "each error names its path in the template. `Warnings` name what may still fail. If iMIS cannot be asked just "
        "now, `Warnings` say why: the subscription is saved without this comparison, and another PUT asks again."
    ),
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=SubscriptionBody,
    body_example=EXAMPLE_BODY,
    responses=(
        ResponseSpec(
            status=201,
            meaning="The subscription was made, or made again after it had been archived.",
            body=SavedSubscription,
            example=EXAMPLE_SAVED,
        ),
        ResponseSpec(
            status=200,
            meaning="The subscription existed, and was changed.",
            body=SavedSubscription,
            example=EXAMPLE_SAVED,
        ),
    ),
    errors=(LEFT_OUT, subscription_fixed(["ProgramId"]), still_archiving(**STILL_ARCHIVING)),
)
PATCH_SUBSCRIPTION = Operation(
    method="PATCH",
    path="/subscriptions/{SubscriptionId}",
    operation_id="patchSubscription",
    summary="Change fields of a subscription",
    description=f"{MERGE_PATCH_TEXT} Within Templates null is a value: it switches a category off.",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=SubscriptionBody,
    body_example={"Schedule": "manual"},
    responses=(
        ResponseSpec(status=200, meaning="The subscription as it is now.", body=SavedSubscription, example=EXAMPLE),
    ),
    errors=(NO_SUCH_SUBSCRIPTION, subscription_fixed(["ProgramId"])),
)
LIST_SUBSCRIPTIONS = Operation(
    method="GET",
    path="/subscriptions",
    operation_id="listSubscriptions",
    summary="List subscriptions",
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    query=SubscriptionsQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Subscriptions of the Programs that the key may use, ordered by id.",
            body=Page[Subscription],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)
GET_SUBSCRIPTION = Operation(
    method="GET",
    path="/subscriptions/{SubscriptionId}",
    operation_id="getSubscription",
    summary="Read a subscription",
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    responses=(ResponseSpec(status=200, meaning="The subscription.", body=Subscription, example=EXAMPLE),),
    errors=(NO_SUCH_SUBSCRIPTION,),
)
START_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/start",
    operation_id="startSubscription",
    summary="Start a subscription: it sends by its schedule again",
    description="Sets State to started and nothing else. Held deliveries of a realtime subscription are released, in "
    "batches if they are many; the run that does it is in `GET /runs`, with the trigger start. Starting a started "
    "subscription changes nothing.",
    tag="Setting up",
    scopes=("admin",),
    responses=(ResponseSpec(status=200, meaning="The subscription is started.", body=Subscription, example=EXAMPLE),),
    errors=(NO_SUCH_SUBSCRIPTION,),
)
STOP_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/stop",
    operation_id="stopSubscription",
    summary="Stop a subscription: its deliveries are held, none is lost",
    description="Sets State to stopped and nothing else. From the response on, no delivery is begun by its schedule. "
    "Deliveries are marked as held in batches if they are many; the run that does it is in `GET /runs`, with the "
    "trigger stop. Stopping a stopped subscription changes nothing.",
    tag="Setting up",
    scopes=("admin",),
    responses=(
        ResponseSpec(
            status=200,
            meaning="The subscription is stopped.",
            body=Subscription,
            example=EXAMPLE | {"State": "stopped"},
        ),
    ),
    errors=(NO_SUCH_SUBSCRIPTION,),
)
ARCHIVE_SUBSCRIPTION = Operation(
    method="DELETE",
    path="/subscriptions/{SubscriptionId}",
    operation_id="archiveSubscription",
    summary="Archive a subscription: it sends no more events, its history stays",
    description="Deliveries that were not sent are discarded, in batches if they are many; the run that does it is in "
    "`GET /runs`, with the trigger archive. From the response on, no delivery is begun. A PUT makes the subscription "
    "again; it then starts at the StartFrom of that PUT.",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    responses=(ResponseSpec(status=204, meaning="The subscription is archived, by this request or an earlier one."),),
    errors=(NO_SUCH_SUBSCRIPTION,),
)


class SubscriptionController(ApiController):
    """Subscriptions."""

    @route(PUT_SUBSCRIPTION)
    async def put_subscription(self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]) -> ApiResponse:
        saved = await subscriptions.put(
            request.caller, request.path_id("SubscriptionId"), await request.read_fields(), request.precondition()
        )
        return ApiResponse(saved.shown, status=201 if saved.is_new else 200, tag=saved.subscription.tag)

    @route(PATCH_SUBSCRIPTION)
    async def patch_subscription(
        self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]
    ) -> ApiResponse:
        saved = await subscriptions.patch(
            request.caller, request.path_id("SubscriptionId"), await request.read_fields(), request.precondition()
        )
        return ApiResponse(saved.shown, tag=saved.subscription.tag)

    @route(LIST_SUBSCRIPTIONS)
    async def list_subscriptions(
        self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]
    ) -> ApiResponse:
        return ApiResponse(await subscriptions.page(request.caller, request.read_query(SubscriptionsQuery)))

    @route(GET_SUBSCRIPTION)
    async def get_subscription(self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]) -> ApiResponse:
        subscription = await subscriptions.get(request.caller, request.path_id("SubscriptionId"))
        return ApiResponse(subscription, tag=subscription.tag)

    @route(START_SUBSCRIPTION)
    async def start_subscription(
        self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]
    ) -> ApiResponse:
        return ApiResponse(await subscriptions.start(request.caller, request.path_id("SubscriptionId")))

    @route(STOP_SUBSCRIPTION)
    async def stop_subscription(
        self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]
    ) -> ApiResponse:
        return ApiResponse(await subscriptions.stop(request.caller, request.path_id("SubscriptionId")))

    @route(ARCHIVE_SUBSCRIPTION)
    async def archive_subscription(
        self, request: ApiRequest, subscriptions: NamedDependency[Subscriptions]
    ) -> ApiResponse:
        await subscriptions.archive(request.caller, request.path_id("SubscriptionId"), request.precondition())
        return ApiResponse(status=204)
