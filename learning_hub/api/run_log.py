"""The log of a run over HTTP: as JSON Lines, or live as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
from litestar.di import NamedDependency
from litestar.response import Stream

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import EVENT_STREAM, JSON_LINES, Header, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import stream_response
from learning_hub.api.http.routing import route
from learning_hub.model.errors import LearningHubError
from learning_hub.model.event import example_event_id
from learning_hub.model.run_log import LoggedRun, RunLine, read_position, write_position
from learning_hub.services.run_logs import RunLogs
from learning_hub.services.runs import no_such_run

KEEP_ALIVE_SECONDS = 15
QUALITY = re.compile(r"q *= *([01](?:\.[0-9]{0,3})?)")
NOT_CACHED = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}

EXAMPLE_LINES = (
    {"AtUtc": "2026-11-22T08:00:00Z", "EventId": None, "DeliveryId": None, "Message": "Gathered: 1 delivery."},
    {
        "AtUtc": "2026-11-22T08:00:02Z",
        "EventId": example_event_id(),
        "DeliveryId": ID_FORMS["DeliveryId"].example,
        "Message": "Sent: delivered as 880123.",
    },
)
EXAMPLE = "".join(f"{msgspec.json.encode(line).decode()}\n" for line in EXAMPLE_LINES)
EXAMPLE_EVENTS = (
    "id: 1795334402000000-0192d4a86c1e7f3a9b523c0d8e5f7a61-1\n"
    f"data: {msgspec.json.encode(EXAMPLE_LINES[1]).decode()}\n\n"
    'event: end\ndata: {"State":"finished"}\n\n'
)

GET_RUN_LOG = Operation(
    method="GET",
    path="/runs/{RunId}/log",
    operation_id="getRunLog",
    summary="Read or follow the log of a run",
    description="The log so far comes as JSON Lines in the order of time. A caller that accepts text/event-stream gets "
    "each line as an event as soon as it is known, and the event `end` with the run's State when the run ends; "
    "comments keep the connection alive meanwhile. The log of a delivery holds only what happened within the run.",
    tag="Delivering",
    scopes=("process", "staff"),
    headers={
        "Last-Event-ID": Header(
            meaning="With text/event-stream: the id of the last event that was read; only later events are sent.",
            min_length=1,
            max_length=100,
        ),
    },
    responses=(
        ResponseSpec(
            status=200,
            meaning="One line for each thing that happened: AtUtc, EventId and DeliveryId (both null for the run "
            "itself), and Message.",
            body=str,
            media_type=JSON_LINES,
            example=EXAMPLE,
            event_stream=EXAMPLE_EVENTS,
            headers={
                "Cache-Control": "no-store.",
                "Vary": "Accept.",
                "X-Accel-Buffering": "no: a proxy in between must not buffer the response.",
            },
        ),
    ),
    errors=(no_such_run(),),
)


class RunLogController(ApiController):
    """Logs of runs."""

    @route(GET_RUN_LOG)
    async def get_run_log(self, request: ApiRequest, run_logs: NamedDependency[RunLogs]) -> Stream:
        run_id = request.path_id("RunId")
        run = await run_logs.need(request.caller, run_id)
        if wants_event_stream(request.header("accept")):
            events = _events(request, run_logs, run_id, run)
            return stream_response(request, events, headers=NOT_CACHED, media_type=EVENT_STREAM)
        lines = _lines(run_logs, run_id, run)
        return stream_response(request, lines, headers=NOT_CACHED, media_type=JSON_LINES)


def wants_event_stream(accept: str | None) -> bool:
    """Whether an Accept header names server-sent events, and rather than JSON Lines; wildcards name neither."""
    qualities: dict[str, float] = {}
    for part in (accept or "").lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        (quality,) = [found[1] for each in parameters if (found := QUALITY.fullmatch(each))][:1] or ["1"]
        qualities[name] = float(quality)
    return qualities.get(EVENT_STREAM, 0) > qualities.get(JSON_LINES, 0)


async def _lines(run_logs: RunLogs, run_id: str, run: LoggedRun) -> AsyncIterator[bytes]:
    async for lines in run_logs.read(run_id, run):
        yield b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


async def _events(request: ApiRequest, run_logs: RunLogs, run_id: str, run: LoggedRun) -> AsyncIterator[bytes]:
    after = read_position(request.header("last-event-id"))
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    async with aclosing(run_logs.follow(run_id, run, after)) as parts:  # type: ignore[type-var]
        try:
            async for part in parts:
                if part.lines:
                    sent_at = loop.time()
                    yield b"".join(_event(write_position(position), line) for position, line in part.lines)
                elif loop.time() - sent_at >= KEEP_ALIVE_SECONDS:
                    sent_at = loop.time()
                    yield b": nothing new\n\n"
                if part.ended:
                    yield b'event: end\ndata: {"State":"%s"}\n\n' % part.ended.encode()
                await request.confirm_caller()
        except LearningHubError:
            # The key is no longer valid, or the database is away. All lines sent so far are complete; a reader who
            # reconnects continues after them.
            return


def _event(position: str, line: RunLine) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (position.encode(), msgspec.json.encode(line))
