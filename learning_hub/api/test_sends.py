"""Test sends over HTTP: one event is really sent, at once."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.deliveries import EXAMPLE as EXAMPLE_DELIVERY
from learning_hub.api.deliveries import EXAMPLE_ATTEMPT
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.runs import unfinished_response
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION
from learning_hub.model.errors import Conflict
from learning_hub.model.event import example_event_id
from learning_hub.model.failure import CAUSES
from learning_hub.services.runs import Unfinished
from learning_hub.services.test_sends import PAUSED, WHY_NOT_SENT, TestSend, TestSendBody, TestSends, event_not_wanted

TEST_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/test",
    operation_id="testSubscription",
    summary="Send one event to the subscriber at once, and show the attempt",
    description="A test send also works while the subscription is stopped. An event that was delivered before is sent "
    "again, onto the same record. A subscriber that was away is probed first; while it stays paused, no delivery is "
    "made. The response is 202 if the attempt takes longer than the hub waits.",
    tag="Delivering",
    scopes=("process", "staff", "admin"),
    body=TestSendBody,
    body_example={"EventId": example_event_id()},
    responses=(
        ResponseSpec(
            status=200,
            meaning="The attempt.",
            body=TestSend,
            example=EXAMPLE_ATTEMPT | {"Delivery": EXAMPLE_DELIVERY},
        ),
        ResponseSpec(
            status=202,
            meaning="The test send continues; Location is the run. No body.",
            headers={"Location": "/runs/{RunId}."},
        ),
    ),
    errors=(
        NO_SUCH_SUBSCRIPTION,
        event_not_wanted(),
        Conflict(PAUSED, code="subscriber_paused"),
        *(Conflict(CAUSES[code].meaning, code=code) for code in WHY_NOT_SENT),
    ),
)


class TestSendController(ApiController):
    """Test sends."""

    @route(TEST_SUBSCRIPTION)
    async def test_subscription(self, request: ApiRequest, test_sends: NamedDependency[TestSends]) -> ApiResponse:
        subscription_id, fields = request.path_id("SubscriptionId"), await request.read_fields()
        sent = await test_sends.send(request.caller, subscription_id, fields)
        return unfinished_response(sent) if isinstance(sent, Unfinished) else ApiResponse(sent)
