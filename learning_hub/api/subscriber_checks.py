"""The check of a subscriber over HTTP."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER
from learning_hub.connectors.check_results import CheckResult
from learning_hub.services.subscriber_checks import SubscriberChecks

_SIGNED_IN = "Signed in at https://members.example.org."
_NO_TYPE = "There is no activity type TCLEARNING, which the templates of completions name."
_ADD_TYPE = (
    "In iMIS, go to Settings > Contacts > Activity types, select Add new activity type, and enter TCLEARNING as its "
    "Type."
)
_EXAMPLE = {"Name": "", "State": "fine", "Message": _SIGNED_IN, "Advice": "", "SubscriptionIds": [], "Steps": []}
EXAMPLE_CHECK = {
    "Works": False,
    "Findings": [_SIGNED_IN, f"{_NO_TYPE} {_ADD_TYPE}"],
    "Details": [
        {**_EXAMPLE, "Subject": "sign-in"},
        {
            **_EXAMPLE,
            "Subject": "activity-type",
            "Name": "TCLEARNING",
            "State": "wrong",
            "Message": _NO_TYPE,
            "Advice": _ADD_TYPE,
            "SubscriptionIds": ["completions"],
        },
    ],
}

CHECK_SUBSCRIBER = Operation(
    method="POST",
    path="/subscribers/{SubscriberId}/check",
    operation_id="checkSubscriber",
    summary="Sign in at a subscriber and report the findings; nothing is written there",
    description="The check also looks for what the subscriptions need at the subscriber: those in use, of Programs "
    "that the key may use. `Works` is true if nothing is wrong; a fault that concerns only stopped subscriptions does "
    "not count. If nothing at all is wrong and the subscriber was paused, the pause ends and waiting deliveries are "
    "sent. An archived subscriber is 404.",
    tag="Setting up",
    scopes=("staff", "admin"),
    responses=(
        ResponseSpec(
            status=200,
            meaning="The findings as sentences, also if the subscriber does not work.",
            body=CheckResult,
            example=EXAMPLE_CHECK,
        ),
    ),
    errors=(NO_SUCH_SUBSCRIBER,),
)


class SubscriberCheckController(ApiController):
    """The check of a subscriber."""

    @route(CHECK_SUBSCRIBER)
    async def check_subscriber(
        self, request: ApiRequest, subscriber_checks: NamedDependency[SubscriberChecks]
    ) -> ApiResponse:
        return ApiResponse(await subscriber_checks.check(request.caller, request.path_id("SubscriberId")))
