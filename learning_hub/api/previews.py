"""Previews over HTTP: what a subscription would send."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.event_examples import EXAMPLE_BODY
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION
from learning_hub.model.errors import InvalidFields
from learning_hub.model.preview import Preview
from learning_hub.services.previews import EVENT_NEEDED, PreviewBody, Previews

PREVIEW_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/preview",
    operation_id="previewSubscription",
    summary="Show the payload that would be sent for an event, or the error and its path in the template",
    description=(
        "The hub sends nothing and opens no connection. `participant.Id` is null unless it is remembered from a "
        "delivery or was matched by hand."
    ),
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    body=PreviewBody,
    body_example={"Event": EXAMPLE_BODY},
    responses=(
        ResponseSpec(
            status=200,
            meaning="The payload, or the reason why none is made.",
            body=Preview,
            example={
                "Template": "Online",
                "Payload": {
                    "ActivityType": "TCLEARNING",
                    "Source": "TopClass",
                    "Subtype": "FIRE-201",
                    "Description": "Fire safety refresher",
                    "EffectiveDate": "2026-11-20 10:20:00.000",
                    "Units": 1.30,
                },
                "Error": None,
            },
        ),
    ),
    errors=(
        NO_SUCH_SUBSCRIPTION,
        InvalidFields([EVENT_NEEDED]),
    ),
)


class PreviewController(ApiController):
    """Previews."""

    @route(PREVIEW_SUBSCRIPTION)
    async def preview_subscription(self, request: ApiRequest, previews: NamedDependency[Previews]) -> ApiResponse:
        subscription_id, fields = request.path_id("SubscriptionId"), await request.read_fields()
        return ApiResponse(await previews.preview(request.caller, subscription_id, fields))
