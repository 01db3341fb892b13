"""Many events in one request: each is stored or refused by itself."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from learning_hub.api.call import Call
from learning_hub.api.events import EXAMPLE_BODY, judge_body
from learning_hub.api.operations import JSON, JSON_LINES, Answer, Operation, Reply
from learning_hub.api.problems import Problem, answer_for
from learning_hub.api.routing import route
from learning_hub.model.errors import FieldError, InvalidInput, LearningHubError, TooLarge, Unavailable
from learning_hub.model.event import NewEvent, example_event_id
from learning_hub.model.fields import read_list
from learning_hub.model.received_event import read_ordinary
from learning_hub.publish.submission import Published

ANOTHER_BODY = EXAMPLE_BODY | {"PublisherEventId": "AI:1235", "PublisherParticipantId": "kim.lund@example.org"}
MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
# So many bytes of such bodies are held at once.
ROOM_BYTES = 4 * MAX_BYTES
STALLS_AFTER_SECONDS = 30
AT_ONCE = 500
# So many times as many are with the writer: enough to keep it busy, and few beside the backlog that all share.
MOST_UNDER_WAY = 4
# So much is read before others get their turn: about a millisecond of work, some more where much is wrong.
READ_AT_ONCE = 50
READ_AT_ONCE_BYTES = 32 * 1024
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
    async with call.hub.batch_budget.taken(call.content_length(MAX_BYTES)):
        content = await call.content(MAX_BYTES, stalls_after_seconds=STALLS_AFTER_SECONDS)
        pieces = _lines(content) if kind == JSON_LINES else read_list(content, MAX_EVENTS)
        results = await _Batch(call).publish(pieces)
    if results and all(result.status == 503 for result in results):
        raise Unavailable("The database is away.", retry_after_seconds=2)
    return Reply(body=BatchResults(results))


# What becomes of one event, or what is wrong with it.
Outcome = asyncio.Future[Published] | LearningHubError


class _Batch:
    """The events of one request on their way to the writer."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._asked: dict[str, list[FieldError]] = {}

    async def publish(self, pieces: Sequence[bytes | Raw]) -> list[BatchResult]:
        """What became of each, in order. While some are written, the next ones are read."""
        results: list[BatchResult] = []
        under_way: deque[list[Outcome]] = deque()
        for start in range(0, len(pieces), AT_ONCE):
            under_way.append(await self._submit(pieces[start : start + AT_ONCE]))
            if len(under_way) == MOST_UNDER_WAY:
                await self._settle(under_way.popleft(), results)
        for outcomes in under_way:
            await self._settle(outcomes, results)
        return results

    async def _settle(self, outcomes: list[Outcome], results: list[BatchResult]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, asyncio.Future) and not outcome.done():
                await asyncio.wait([outcome])
            results.append(self._result(outcome, len(results)))

    async def _submit(self, pieces: Sequence[bytes | Raw]) -> list[Outcome]:
        """
        In the order of the batch, which is that in which events of one source record are stored.

        A batch may take many seconds: none of those left is stored once the key is revoked.
        """
        try:
            await self._call.confirm_caller()
        except LearningHubError as error:
            return [error] * len(pieces)
        settings = self._call.hub.settings
        most, most_data = settings.max_body_bytes, settings.max_data_bytes
        outcomes: list[Outcome] = []
        read, read_bytes = 0, 0
        for piece in map(bytes, pieces):
            if read == READ_AT_ONCE or read_bytes >= READ_AT_ONCE_BYTES:
                await asyncio.sleep(0)
                read, read_bytes = 0, 0
            read, read_bytes = read + 1, read_bytes + len(piece)
            try:
                if len(piece) > most:
                    raise TooLarge(f"The event has {len(piece)} bytes; the limit is {most}.")
                event = read_ordinary(piece, max_data_bytes=most_data)
                event = event or await judge_body(piece, most_data, self._program_faults)
                outcomes.append(self._call.hub.publisher.submit(event, self._call.caller))
            except LearningHubError as error:
                outcomes.append(error)
        return outcomes

    async def _program_faults(self, program_id: str) -> list[FieldError]:
        """Why a Program takes no events; each is asked about once."""
        if program_id not in self._asked:
            self._asked[program_id] = await self._call.hub.publisher.program_faults(program_id, self._call.caller)
        return self._asked[program_id]

    def _result(self, outcome: Outcome, index: int) -> BatchResult:
        try:
            if isinstance(outcome, LearningHubError):
                raise outcome
            published = outcome.result()
        except LearningHubError as error:
            problem = answer_for(error, self._call.called_path).problem
            return BatchResult(index=index, status=problem.status, problem=problem)
        event_id = str(published.key)
        return BatchResult(
            index=index,
            status=201 if published.status == "stored" else 200,
            event_id=event_id,
            location=f"/events/{event_id}",
        )


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
