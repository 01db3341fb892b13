"""The ASGI application: every resource's routes inside the edge."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler

from learning_hub.api import (
    audit,
    batches,
    checks,
    deliveries,
    events,
    feed,
    groups,
    health,
    keys,
    panels,
    participants,
    presets,
    previews,
    programs,
    reconciliations,
    requeues,
    run_log,
    runs,
    schema,
    subscribers,
    subscriptions,
    targets,
    trials,
)
from learning_hub.api.edge import Edge
from learning_hub.api.hub import Hub
from learning_hub.api.operations import Operation
from learning_hub.api.problems import MEDIA_TYPE, answer_for
from learning_hub.api.rate import RateLimiter
from learning_hub.api.routing import direct_routes, options_routes

ROUTES: tuple[HTTPRouteHandler, ...] = (
    *events.ROUTES,
    *feed.ROUTES,
    *batches.ROUTES,
    *groups.ROUTES,
    *deliveries.ROUTES,
    *requeues.ROUTES,
    *runs.ROUTES,
    *run_log.ROUTES,
    *programs.ROUTES,
    *keys.ROUTES,
    *subscribers.ROUTES,
    *panels.ROUTES,
    *checks.ROUTES,
    *targets.ROUTES,
    *participants.ROUTES,
    *subscriptions.ROUTES,
    *trials.ROUTES,
    *reconciliations.ROUTES,
    *previews.ROUTES,
    *presets.ROUTES,
    *audit.ROUTES,
    *health.ROUTES,
    *schema.ROUTES,
)


def operations() -> list[Operation]:
    """Every operation of the API, in the order of the document."""
    return [route.opt["operation"] for route in ROUTES]


def build_app(hub: Hub) -> Edge:
    """The API over the parts in *hub*; it opens and starts nothing."""
    router = Litestar(
        # Before the others: the router would answer OPTIONS with the methods of the first route of a path alone.
        route_handlers=[*options_routes(operations()), *ROUTES],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        exception_handlers={Exception: _answer},
    )
    router.state["operations"] = operations()
    limiter = RateLimiter(hub.settings.rate_limit) if hub.settings.rate_limit else None
    return Edge(router, direct_routes(ROUTES), hub, limiter)


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    answer = answer_for(error, request.scope["state"]["called_path"])
    return Response(
        msgspec.json.encode(answer.problem),
        status_code=answer.problem.status,
        headers=answer.headers,
        media_type=MEDIA_TYPE,
    )
