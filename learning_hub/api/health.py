"""Health and metrics over HTTP, for operators."""

from __future__ import annotations

import msgspec
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.errors import Unavailable
from learning_hub.services.hub_status import HubStatus
from learning_hub.services.visible_metrics import VisibleMetrics

EXAMPLE_METRICS = """\
# HELP learning_hub_deliveries_open Deliveries that are not final, over all processes.
# TYPE learning_hub_deliveries_open gauge
learning_hub_deliveries_open{state="waiting"} 0.0
learning_hub_deliveries_open{state="sending"} 0.0
learning_hub_deliveries_open{state="retrying"} 0.0
learning_hub_deliveries_open{state="parked"} 0.0
"""


class Health(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether the hub can do its work; *findings* say what limits it."""

    status: str
    findings: list[str] = []


GET_LIVENESS = Operation(
    method="GET",
    path="/health/live",
    operation_id="getLiveness",
    summary="Check that this process runs",
    tag="Operating",
    is_public=True,
    responses=(
        ResponseSpec(status=200, meaning="The process runs.", body=Health, example={"Status": "live", "Findings": []}),
    ),
)
GET_READINESS = Operation(
    method="GET",
    path="/health/ready",
    operation_id="getReadiness",
    summary="Check that the hub can accept and deliver events",
    tag="Operating",
    is_public=True,
    responses=(
        ResponseSpec(status=200, meaning="The hub is ready.", body=Health, example={"Status": "ready", "Findings": []}),
    ),
    errors=(Unavailable("The database is away.", retry_after_seconds=2),),
)
GET_HEALTH = msgspec.structs.replace(
    GET_READINESS,
    path="/health",
    operation_id="getHealth",
    summary="Check readiness at the address of the original hub",
)
GET_METRICS = Operation(
    method="GET",
    path="/metrics",
    operation_id="getMetrics",
    summary="Read metrics in the text format of Prometheus",
    description="A key that is not for every Program gets the metrics of its own subscribers and deliveries alone.",
    tag="Operating",
    scopes=("process",),
    responses=(
        ResponseSpec(
            status=200,
            meaning="Metrics of this process, as text.",
            body=str,
            media_type="text/plain",
            example=EXAMPLE_METRICS,
        ),
    ),
)


class HealthController(ApiController):
    """Health and metrics."""

    @route(GET_LIVENESS)
    async def get_liveness(self) -> ApiResponse:
        return ApiResponse(Health("live"))

    @route(GET_READINESS)
    async def get_readiness(self, status: NamedDependency[HubStatus]) -> ApiResponse:
        return ApiResponse(Health("ready", await status.need_ready()))

    @route(GET_HEALTH)
    async def get_health(self, status: NamedDependency[HubStatus]) -> ApiResponse:
        return ApiResponse(Health("ready", await status.need_ready()))

    @route(GET_METRICS)
    async def get_metrics(self, request: ApiRequest, visible_metrics: NamedDependency[VisibleMetrics]) -> ApiResponse:
        text = await visible_metrics.text(request.caller)
        return ApiResponse(text, media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))
