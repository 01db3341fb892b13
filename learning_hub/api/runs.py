"""Runs over HTTP: process events, and read the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta, Raw

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION
from learning_hub.model.errors import FieldError
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.model.run import ProcessBody, Run, RunResult
from learning_hub.services.runs import Runs, Unfinished, no_such_run

EXAMPLE_COUNTS = {
    "Matched": 12, "Delivered": 8, "Unchanged": 2, "Waiting": 0, "Retrying": 0, "Parked": 1, "Skipped": 1,
    "Superseded": 0, "Discarded": 0,
}  # fmt: skip
EXAMPLE_RESULT = EXAMPLE_COUNTS | {"RunId": ID_FORMS["RunId"].example}
EXAMPLE_RUN = {
    "RunId": ID_FORMS["RunId"].example,
    "ProgramId": "NURSES",
    "Trigger": "processEvents",
    "RequestedBy": "admin",
    "Request": {"EventDateBucket": "NURSES-LB-20261122"},
    "State": "finished",
    "Message": None,
    "StartedUtc": "2026-11-22T08:00:00Z",
    "FinishedUtc": "2026-11-22T08:00:02Z",
    "Counts": EXAMPLE_COUNTS,
    "Progress": None,
}
UNFINISHED = ResponseSpec(
    status=202, meaning="The run continues; Location is the run. No body.", headers={"Location": "/runs/{RunId}."}
)


class ProcessQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The Program, which may also be a query parameter, as ProgramId or in the original hub's spelling."""

    program_id: Annotated[str, Meta(min_length=1, max_length=25)] | None = msgspec.field(name="ProgramId", default=None)
    program_id_as_before: (
        Annotated[str, Meta(min_length=1, max_length=25, description="Another name of ProgramId.")] | None
    ) = msgspec.field(name="programId", default=None)


PROCESS_EVENTS = Operation(
    method="POST",
    path="/processEvents",
    operation_id="processEvents",
    summary="Process the events of a bucket, a Program, a subscription, or those named",
    description="The hub gathers the events, picks each subscription's template by category, renders, and sends. "
    "Processing the same events again sends nothing twice. A named event that does not exist is 400. With ProgramId "
    "in the query the body may be left out.",
    tag="Delivering",
    scopes=("process",),
    query=ProcessQuery,
    body=ProcessBody,
    body_example={"EventDateBucket": "NURSES-LB-20261122"},
    body_optional=True,
    responses=(
        ResponseSpec(status=200, meaning="The run's counts.", body=RunResult, example=EXAMPLE_RESULT),
        UNFINISHED,
    ),
    errors=(NOT_FOR_PROGRAM,),
)
RUN_SUBSCRIPTION = Operation(
    method="POST",
    path="/subscriptions/{SubscriptionId}/run",
    operation_id="runSubscription",
    summary="Run a subscription once: send all events since its checkpoint, and all held deliveries",
    tag="Delivering",
    scopes=("process", "staff"),
    responses=(
        ResponseSpec(status=200, meaning="The run's counts.", body=RunResult, example=EXAMPLE_RESULT),
        UNFINISHED,
    ),
    errors=(NO_SUCH_SUBSCRIPTION,),
)
LIST_RUNS = Operation(
    method="GET",
    path="/runs",
    operation_id="listRuns",
    summary="List runs, newest first",
    tag="Delivering",
    scopes=("process", "staff"),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A page of runs; read a single run for the counts of one that is under way.",
            body=Page[Run],
            example={"Items": [EXAMPLE_RUN], "NextCursor": None},
        ),
    ),
)
GET_RUN = Operation(
    method="GET",
    path="/runs/{RunId}",
    operation_id="getRun",
    summary="Read a run with its current counts",
    description="Stops, starts, archivings, requeues and discards of many deliveries are runs too; `Progress` says how "
    "far they are.",
    tag="Delivering",
    scopes=("process", "staff"),
    responses=(ResponseSpec(status=200, meaning="The run.", body=Run, example=EXAMPLE_RUN),),
    errors=(no_such_run(),),
)


class RunController(ApiController):
    """Runs."""

    @route(PROCESS_EVENTS)
    async def process_events(self, request: ApiRequest, runs: NamedDependency[Runs]) -> ApiResponse:
        query = request.read_query(ProcessQuery)
        fields, errors = _with_program(await request.read_fields(), query)
        return _result(await runs.process(request.caller, fields, errors=errors))

    @route(RUN_SUBSCRIPTION)
    async def run_subscription(self, request: ApiRequest, runs: NamedDependency[Runs]) -> ApiResponse:
        return _result(await runs.run_subscription(request.caller, request.path_id("SubscriptionId")))

    @route(LIST_RUNS)
    async def list_runs(self, request: ApiRequest, runs: NamedDependency[Runs]) -> ApiResponse:
        return ApiResponse(await runs.page(request.caller, request.read_query(PageQuery)))

    @route(GET_RUN)
    async def get_run(self, request: ApiRequest, runs: NamedDependency[Runs]) -> ApiResponse:
        return ApiResponse(await runs.get(request.caller, request.path_id("RunId")))


def _with_program(fields: Mapping[str, Raw], query: ProcessQuery) -> tuple[Mapping[str, Raw], list[FieldError]]:
    """The fields of the body with the Program of the query, and the errors of a Program that is named twice."""
    errors: list[FieldError] = []
    if query.program_id is not None and query.program_id_as_before is not None:
        errors.append(FieldError("programId", "is another spelling of ProgramId: send one of them"))
    in_query = query.program_id or query.program_id_as_before
    if in_query is None:
        return fields, errors
    encoded = Raw(msgspec.json.encode(in_query))
    try:
        in_body = msgspec.json.decode(fields.get("ProgramId", encoded), type=str | None)
    except msgspec.DecodeError:
        # Reported with the other bad fields of the body.
        return fields, errors
    if in_body not in (None, in_query):
        errors.append(FieldError("ProgramId", "differs between the query and the body"))
    return {**fields, "ProgramId": encoded}, errors


def unfinished_response(run: Unfinished) -> ApiResponse:
    """202 with the address of a run that continues."""
    return ApiResponse(status=202, headers={"Location": f"/runs/{run.run_id}"})


def _result(run: RunResult | Unfinished) -> ApiResponse:
    return unfinished_response(run) if isinstance(run, Unfinished) else ApiResponse(run)
