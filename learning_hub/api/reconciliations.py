"""Reconciliation over HTTP."""

from __future__ import annotations

from typing import Any

from litestar.di import NamedDependency

from learning_hub.api.deliveries import EXAMPLE as EXAMPLE_DELIVERY
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION
from learning_hub.model.errors import InvalidFields
from learning_hub.services.reconciliation import (
    ONE_TIME_RANGE,
    ReconcileAnswer,
    ReconcileBody,
    Reconciliations,
    comparing_not_supported,
)
from learning_hub.services.subscriber_availability import subscriber_paused

EXAMPLE_RECORD: dict[str, Any] = {
    "EventId": EXAMPLE_DELIVERY["EventId"],
    "DeliveryId": EXAMPLE_DELIVERY["DeliveryId"],
    "SubscriberRecordId": "880123",
}
EXAMPLE = {
    "There": 210,
    "Missing": [EXAMPLE_RECORD],
    "Different": [EXAMPLE_RECORD | {"Fields": [{"Field": "UNITS", "Sent": 1.5, "Held": 15}]}],
    "Doubled": [{"EventId": EXAMPLE_DELIVERY["EventId"], "SubscriberRecordIds": ["880123", "880347"]}],
    "Unknown": [],
    "RunId": None,
    "NextCursor": None,
}

RECONCILE_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/reconcile",
    operation_id="reconcileSubscription",
    summary="Compare the sent records with those that the subscriber holds",
    description="The hub asks iMIS for every source record that was last sent with an event of the bucket or time "
    "range; other kinds of subscribers cannot be asked. Records that iMIS holds as they were sent are confirmed "
    "(`ConfirmedUtc`). Source records that have several records at iMIS, under one record key, are named in `Doubled`. "
    "Records whose last delivery removed them are left out. The response comes after about 25 "
    "seconds at the latest; it has a `NextCursor` if records are left: send the same body again with that `Cursor`.",
    tag="Delivering",
    scopes=("process", "staff"),
    body=ReconcileBody,
    body_example={"EventDateBucket": "NURSES-LB-20261122"},
    responses=(ResponseSpec(status=200, meaning="What the subscriber holds.", body=ReconcileAnswer, example=EXAMPLE),),
    errors=(
        NO_SUCH_SUBSCRIPTION,
        InvalidFields([ONE_TIME_RANGE]),
        comparing_not_supported("webhook"),
        subscriber_paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", then="reconcile again"),
    ),
)


class ReconciliationController(ApiController):
    """Reconciliation."""

    @route(RECONCILE_SUBSCRIPTION)
    async def reconcile_subscription(
        self, request: ApiRequest, reconciliations: NamedDependency[Reconciliations]
    ) -> ApiResponse:
        subscription_id, fields = request.path_id("SubscriptionId"), await request.read_fields()
        return ApiResponse(await reconciliations.reconcile(request.caller, subscription_id, fields))
