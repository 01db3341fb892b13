"""Batches of events over HTTP: each event is stored or refused by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from learning_hub.api.event_examples import EXAMPLE_BODY
from learning_hub.api.events import PUBLISHING_STATUS
from learning_hub.api.http.body_budget import BodyBudget
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import JSON, JSON_LINES, Operation, ResponseSpec
from learning_hub.api.http.problems import Problem, problem_response
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.errors import InvalidInput, LearningHubError, TooLarge, Unavailable
from learning_hub.model.event import NewEvent, example_event_id
from learning_hub.model.fields import read_list
from learning_hub.services.batch_publishing import BatchPublishing, Result

ANOTHER_BODY = EXAMPLE_BODY | {"PublisherEventId": "AI:1235", "PublisherParticipantId": "kim.lund@example.org"}
MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
# The bytes of bodies that one process holds at once; of one key half of it.
BUDGET_BYTES = 4 * MAX_BYTES
STALLS_AFTER_SECONDS = 30
# Results that are written before other requests are served.
SHOWN_AT_ONCE = 200
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The result for one event of a batch."""

    index: Annotated[int, Meta(ge=0, description="The event's position in the batch; blank lines are not counted.")]
    status: Annotated[int, Meta(description="The status that POST /events would have answered.")]
    event_id: Annotated[str, Meta(description="Present with the statuses 201 and 200.")] | UnsetType = UNSET
    location: Annotated[str, Meta(description="Present with the statuses 201 and 200.")] | UnsetType = UNSET
    problem: Annotated[Problem, Meta(description="Present with any other status.")] | UnsetType = UNSET


class BatchResults(msgspec.Struct, frozen=True, rename="pascal"):
    """A result for each event, in the order of the batch."""

    results: list[BatchResult]


PUBLISH_EVENTS = Operation(
    method="POST",
    path="/events/batch",
    operation_id="publishEvents",
    summary="Publish many events at once",
    description=(
        f"The body is a JSON array or, declared as {JSON_LINES}, one event a line: up to 10,000 events and 16 MiB. A "
        "bad event does not stop the others: each has its own Status. Events with the same source key are stored in "
        "the order of the batch. A body that is not well-formed JSON is refused as a whole; a bad line of JSON Lines "
        "is refused alone."
    ),
    tag="Publishing",
    scopes=("publish",),
    body=list[NewEvent],
    body_example=[EXAMPLE_BODY, ANOTHER_BODY],
    takes_lines=True,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A result for each event.",
            body=BatchResults,
            example={
                "Results": [
                    {
                        "Index": 0,
                        "Status": 201,
                        "EventId": example_event_id(),
                        "Location": f"/events/{example_event_id()}",
                    }
                ]
            },
        ),
    ),
    errors=(
        InvalidInput("The body must be a JSON array.", code="malformed_json"),
        TooLarge(f"The body has more than {MAX_EVENTS} items."),
    ),
)


class EventBatchController(ApiController):
    """Batches of events."""

    @route(PUBLISH_EVENTS)
    async def publish_events(
        self,
        request: ApiRequest,
        batch_publishing: NamedDependency[BatchPublishing],
        body_budget: NamedDependency[BodyBudget],
    ) -> ApiResponse:
        media_type = request.need_media_type(JSON, JSON_LINES)
        reserved = request.declared_length(MAX_BYTES)
        async with body_budget.body(request.caller.key_id, reserved=reserved) as held:
            content = await request.read_content(MAX_BYTES, held=held, stalls_after_seconds=STALLS_AFTER_SECONDS)
            bodies = _lines(content) if media_type == JSON_LINES else read_list(content, MAX_EVENTS)
            results = await batch_publishing.publish(request.caller, bodies, confirm=request.confirm_caller)
            shown = await _all_shown(results, request.context.called_path)
        if shown and all(result.status == 503 for result in shown):
            raise Unavailable("The database is away.", retry_after_seconds=2)
        return ApiResponse(BatchResults(shown))


async def _all_shown(results: Sequence[Result], called_path: str) -> list[BatchResult]:
    """The results as they are answered; other requests are served in between."""
    shown = []
    for index, result in enumerate(results):
        if index % SHOWN_AT_ONCE == 0:
            await asyncio.sleep(0)
        shown.append(_shown(result, index, called_path))
    return shown


def _shown(result: Result, index: int, called_path: str) -> BatchResult:
    if isinstance(result, LearningHubError):
        problem = problem_response(result, called_path).problem
        return BatchResult(index=index, status=problem.status, problem=problem)
    event_id = str(result.key)
    status = PUBLISHING_STATUS[result.outcome]
    return BatchResult(index=index, status=status, event_id=event_id, location=f"/events/{event_id}")


def _lines(content: bytes) -> list[bytes]:
    """
    The lines of a body of JSON Lines, without blank ones.

    Raises:
        TooLarge: The body has too many lines; the rest is not read.
    """
    lines = [line[0].rstrip(b" \t\r") for line in islice(_LINE.finditer(content), MAX_EVENTS + 1)]
    if len(lines) > MAX_EVENTS:
        raise TooLarge(f"The body has more than {MAX_EVENTS} lines.")
    return lines
