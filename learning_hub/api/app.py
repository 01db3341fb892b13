"""The ASGI application: every resource's controller behind the middleware."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Litestar, Request, Response

from learning_hub.api.audit import AuditController
from learning_hub.api.deliveries import DeliveryController
from learning_hub.api.event_batches import BUDGET_BYTES, EventBatchController
from learning_hub.api.events import EventController
from learning_hub.api.health import HealthController
from learning_hub.api.http.answer_budget import AnswerBudget
from learning_hub.api.http.body_budget import BodyBudget
from learning_hub.api.http.context import context_of
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.middleware import ApiMiddleware
from learning_hub.api.http.operation import Operation
from learning_hub.api.http.problems import MEDIA_TYPE, problem_response
from learning_hub.api.http.rate_limit import RateLimiter
from learning_hub.api.http.routing import direct_routes, operations_of
from learning_hub.api.keys import KeyController
from learning_hub.api.panels import PanelController
from learning_hub.api.participants import ParticipantController
from learning_hub.api.presets import PresetController
from learning_hub.api.previews import PreviewController
from learning_hub.api.programs import ProgramController
from learning_hub.api.reconciliations import ReconciliationController
from learning_hub.api.run_log import RunLogController
from learning_hub.api.runs import RunController
from learning_hub.api.schema import SchemaController
from learning_hub.api.subscriber_checks import SubscriberCheckController
from learning_hub.api.subscribers import SubscriberController
from learning_hub.api.subscriptions import SubscriptionController
from learning_hub.api.targets import TargetController
from learning_hub.api.test_sends import TestSendController
from learning_hub.services.registry import Services
from learning_hub.settings import Settings

# Of all answers that are not taken yet.
ANSWER_BYTES = 128 * 1024 * 1024

# In the order of the OpenAPI document.
CONTROLLERS: tuple[type[ApiController], ...] = (
    EventController,
    EventBatchController,
    DeliveryController,
    RunController,
    RunLogController,
    ProgramController,
    KeyController,
    SubscriberController,
    PanelController,
    SubscriberCheckController,
    TargetController,
    ParticipantController,
    SubscriptionController,
    TestSendController,
    ReconciliationController,
    PreviewController,
    PresetController,
    AuditController,
    HealthController,
    SchemaController,
)


def operations() -> list[Operation]:
    """Every operation of the API, in the order of the OpenAPI document."""
    return operations_of(CONTROLLERS)


def build_app(services: Services, settings: Settings, *, stop_waiting: Callable[[], None]) -> ApiMiddleware:
    """The API over *services*; it opens and starts nothing. *stop_waiting* ends requests that wait."""
    declared = operations()
    router = _router()
    return ApiMiddleware(
        router,
        direct_routes(router),
        public_paths=frozenset(operation.path for operation in declared if operation.is_public),
        services={
            **msgspec.structs.asdict(services),
            "operations": declared,
            "body_budget": BodyBudget(BUDGET_BYTES),
        },
        authenticator=services.authenticator,
        answer_budget=AnswerBudget(ANSWER_BYTES),
        stop_waiting=stop_waiting,
        limiter=RateLimiter(settings.rate_limit) if settings.rate_limit else None,
        max_body_bytes=settings.max_body_bytes,
    )


@functools.cache
def _router() -> Litestar:
    # It depends on the code alone, and takes a twentieth of a second to make.
    return Litestar(
        route_handlers=CONTROLLERS,
        exception_handlers={Exception: _answer_problem},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )


def _answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    response = problem_response(error, context_of(request.scope).called_path)
    return Response(
        msgspec.json.encode(response.problem),
        status_code=response.problem.status,
        headers=response.headers,
        media_type=MEDIA_TYPE,
    )
