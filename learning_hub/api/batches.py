"""Many events in one request: each is stored or refused by itself."""

from __future__ import annotations

import asyncio
import re
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from learning_hub.api.call import Call
from learning_hub.api.events import EXAMPLE_BODY, ProgramFaults, judge_body
from learning_hub.api.operations import JSON, JSON_LINES, Answer, Operation, Reply
from learning_hub.api.problems import Problem, answer_for
from learning_hub.api.routing import route
from learning_hub.model.errors import FieldError, InvalidInput, LearningHubError, TooLarge, Unavailable
from learning_hub.model.event import NewEvent, example_event_id
from learning_hub.model.fields import read_list

ANOTHER_BODY = EXAMPLE_BODY | {"PublisherEventId": "AI:1235", "PublisherParticipantId": "kim.lund@example.org"}
MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
# So many go to the writer together: one batch must not fill its backlog, and others get their turn in between.
AT_ONCE = 500
# Reading an event takes a tenth of a millisecond; others get their turn after some of them.
READ_AT_ONCE = 50
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """What became of one event of a batch."""

    index: Annotated[int, Meta(ge=0, description="Its place in the batch; blank lines are not counted.")]
    status: Annotated[int, Meta(description="What POST /events would have answered.")]
    event_id: Annotated[str, Meta(description="With 201 and 200.")] | UnsetType = UNSET
    location: Annotated[str, Meta(description="With 201 and 200.")] | UnsetType = UNSET
    problem: Annotated[Problem, Meta(description="With any other status.")] | UnsetType = UNSET


class BatchResults(msgspec.Struct, frozen=True, rename="pascal"):
    """What became of each event, in the order of the batch."""

    results: list[BatchResult]


@route(
    Operation(
        method="POST",
        path="/events/batch",
        operation_id="publishEvents",
        summary="Publish many events at once",
        description=(
            f"A JSON array or, declared as {JSON_LINES}, one event a line: up to 10,000 events and 16 MiB. A bad one "
            "does not stop the others: each has its own Status. Two of one source are taken in their order. A body "
            "that is not well-formed JSON is refused whole, a bad line of JSON Lines alone."
        ),
        tag="Publishing",
        scopes=("publish",),
        body=list[NewEvent],
        body_example=[EXAMPLE_BODY, ANOTHER_BODY],
        takes_lines=True,
        answers=(
            Answer(
                status=200,
                meaning="What became of each event.",
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
)
async def publish_events(call: Call) -> Reply:
    kind = call.need_media_type(JSON, JSON_LINES)
    content = await call.content(MAX_BYTES)
    pieces = _lines(content) if kind == JSON_LINES else [bytes(item) for item in read_list(content, MAX_EVENTS)]
    faults_of = _ProgramFaults(call)
    results: list[BatchResult] = []
    for start in range(0, len(pieces), AT_ONCE):
        results += await _publish(call, faults_of, pieces[start : start + AT_ONCE], start)
    if results and all(result.status == 503 for result in results):
        raise Unavailable("The database is away.", retry_after_seconds=2)
    return Reply(body=BatchResults(results))


class _ProgramFaults:
    """Why Programs take no events; each Program of a batch is asked about once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._asked: dict[str, asyncio.Task[list[FieldError]]] = {}

    def __call__(self, program_id: str) -> asyncio.Task[list[FieldError]]:
        if program_id not in self._asked:
            asking = self._call.hub.publisher.program_faults(program_id, self._call.caller)
            self._asked[program_id] = asyncio.create_task(asking)
        return self._asked[program_id]


async def _publish(call: Call, faults_of: ProgramFaults, pieces: list[bytes], first: int) -> list[BatchResult]:
    """Publish some events of the batch together; their results, in order."""
    tasks = []
    async with asyncio.TaskGroup() as group:
        for index, piece in enumerate(pieces, start=first):
            tasks.append(group.create_task(_publish_one(call, faults_of, piece, index)))
            if index % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
    return [task.result() for task in tasks]


async def _publish_one(call: Call, faults_of: ProgramFaults, piece: bytes, index: int) -> BatchResult:
    try:
        event = await _read(call, faults_of, piece)
        published = await call.hub.publisher.publish(event, call.caller)
    except LearningHubError as error:
        problem = answer_for(error, call.called_path).problem
        return BatchResult(index=index, status=problem.status, problem=problem)
    return BatchResult(
        index=index,
        status=201 if published.status == "stored" else 200,
        event_id=str(published.key),
        location=f"/events/{published.key}",
    )


async def _read(call: Call, faults_of: ProgramFaults, piece: bytes) -> NewEvent:
    settings = call.hub.settings
    if len(piece) > settings.max_body_bytes:
        raise TooLarge(f"The event has {len(piece)} bytes; the limit is {settings.max_body_bytes}.")
    return await judge_body(piece, settings.max_data_bytes, faults_of)


def _lines(content: bytes) -> list[bytes]:
    """
    The lines of a body of JSON Lines, without blank ones.

    Raises:
        TooLarge: There are too many; the rest is not looked at.
    """
    lines = [line[0].rstrip(b" \t\r") for line in islice(_LINE.finditer(content), MAX_EVENTS + 1)]
    if len(lines) > MAX_EVENTS:
        raise TooLarge(f"The body has more than {MAX_EVENTS} lines.")
    return lines


ROUTES = (publish_events,)
