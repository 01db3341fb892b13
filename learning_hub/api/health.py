"""Whether the hub is alive and ready, and what it measures."""

from __future__ import annotations

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from learning_hub.api.call import Call
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.metrics import DELIVERIES_OPEN, SUBSCRIBER_PAUSED
from learning_hub.model.errors import Unavailable
from learning_hub.store import deliveries, pauses

EXAMPLE_METRICS = """\
# HELP learning_hub_deliveries_open Deliveries that are not settled, over all processes.
# TYPE learning_hub_deliveries_open gauge
learning_hub_deliveries_open{state="waiting"} 0.0
learning_hub_deliveries_open{state="sending"} 0.0
learning_hub_deliveries_open{state="retrying"} 0.0
learning_hub_deliveries_open{state="parked"} 0.0
"""


class Health(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether the hub can do its work; *findings* say what is in the way."""

    status: str
    findings: list[str] = []


@route(
    Operation(
        method="GET",
        path="/health/live",
        operation_id="getLiveness",
        summary="Whether this process runs",
        tag="Operating",
        is_public=True,
        answers=(Answer(status=200, meaning="It runs.", body=Health, example={"Status": "live", "Findings": []}),),
    )
)
async def get_liveness(_call: Call) -> Reply:
    return Reply(body=Health("live"))


@route(
    Operation(
        method="GET",
        path="/health/ready",
        operation_id="getReadiness",
        summary="Whether the hub can take and deliver events",
        tag="Operating",
        is_public=True,
        answers=(Answer(status=200, meaning="It can.", body=Health, example={"Status": "ready", "Findings": []}),),
        errors=(Unavailable("The database is away.", retry_after_seconds=2),),
    )
)
async def get_readiness(call: Call) -> Reply:
    can, findings = await call.hub.readiness()
    if not can:
        raise Unavailable(" ".join(findings), retry_after_seconds=2)
    return Reply(body=Health("ready", findings))


@route(
    Operation(
        method="GET",
        path="/metrics",
        operation_id="getMetrics",
        summary="Metrics in the text format of Prometheus",
        tag="Operating",
        scopes=("process",),
        answers=(
            Answer(
                status=200,
                meaning="Metrics of this process, as text.",
                body=str,
                media_type="text/plain",
                example=EXAMPLE_METRICS,
            ),
        ),
    )
)
async def get_metrics(call: Call) -> Reply:
    open_now = await deliveries.count_open(call.hub.database)
    for state in ("waiting", "sending", "retrying", "parked"):
        DELIVERIES_OPEN.labels(state).set(open_now.get(state, 0))
    SUBSCRIBER_PAUSED.clear()
    for (subscriber_id, code), seconds in (await pauses.seconds_paused(call.hub.database)).items():
        SUBSCRIBER_PAUSED.labels(subscriber_id, code).set(seconds)
    return Reply(body=generate_latest(), media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))


ROUTES = (get_liveness, get_readiness, get_metrics)
