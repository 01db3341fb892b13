"""Runs over HTTP: processing events, and looking at what came of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS
from learning_hub.api.programs import need_program
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION, need_subscription_in_use
from learning_hub.deliver.dry_run import DryRun
from learning_hub.model.errors import FieldError, InvalidFields, NotAllowed, NotFound, gathered
from learning_hub.model.fields import collect
from learning_hub.model.run import Counts, Run, RunResult, Trigger
from learning_hub.model.subscription import Subscription
from learning_hub.process.event_selection import MOST_ERRORS, ProcessBody, Scope, read_scope
from learning_hub.store import events, pauses, runs, subscriptions

LISTING = Listing("runs", ordered_by="run_id")
# The fields that say which events are meant.
NAMING = {"EventDateBucket", "SubscriptionId", "EventIds", "ProgramId"}
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
}
TAKEN = Answer(status=202, meaning="It goes on; Location is the run. No body.", headers={"Location": "/runs/{RunId}."})


def no_such_run() -> NotFound:
    """The error for a run that there is not, or that is of a Program the key is not for."""
    return NotFound("There is no such run.")


class ProcessQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The Program may also be named in the address, in the original hub's spelling or in ours."""

    program_id: Annotated[str, Meta(min_length=1, max_length=25)] | None = msgspec.field(name="ProgramId", default=None)
    program_id_as_before: (
        Annotated[str, Meta(min_length=1, max_length=25, description="As ProgramId, in its place.")] | None
    ) = msgspec.field(name="programId", default=None)


@route(
    Operation(
        method="POST",
        path="/processEvents",
        operation_id="processEvents",
        summary="Process the events of a bucket, a Program, a subscription, or those named",
        description="Gathers the events, picks each subscription's template by category, renders, and sends. Twice "
        "sends nothing twice. An event that is named and is not there is 400. With ProgramId in the address "
        "the body may be left out.",
        tag="Delivering",
        scopes=("process",),
        query=ProcessQuery,
        body=ProcessBody,
        body_example={"EventDateBucket": "NURSES-LB-20261122"},
        body_optional=True,
        answers=(
            Answer(status=200, meaning="What became of them.", body=RunResult, example=EXAMPLE_RESULT),
            TAKEN,
        ),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def process_events(call: Call) -> Reply:
    body, named, scope = await _read(call)
    chosen = [named] if named else await subscriptions.of_program(call.hub.database, scope.program_id)
    if body.dry_run:
        return await _rehearse(call, scope, chosen, body)
    return await _run(call, scope, chosen, body, "processEvents")


@route(
    Operation(
        method="POST",
        path="/subscriptions/{SubscriptionId}/run",
        operation_id="runSubscription",
        summary="Run once: everything since the subscription's place, and what waits",
        tag="Delivering",
        scopes=("process", "staff"),
        answers=(
            Answer(status=200, meaning="What became of it.", body=RunResult, example=EXAMPLE_RESULT),
            TAKEN,
        ),
        errors=(NO_SUCH_SUBSCRIPTION,),
    )
)
async def run_subscription(call: Call) -> Reply:
    subscription = await need_subscription_in_use(call)
    body = ProcessBody(subscription_id=subscription.subscription_id)
    return await _run(call, Scope(program_id=subscription.program_id), [subscription], body, "run")


@route(
    Operation(
        method="GET",
        path="/runs",
        operation_id="listRuns",
        summary="List runs, newest first",
        tag="Delivering",
        scopes=("process", "staff"),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="A page of runs; read one for the counts of a run that is under way.",
                body=Page[Run],
                example={"Items": [EXAMPLE_RUN], "NextCursor": None},
            ),
        ),
    )
)
async def list_runs(call: Call) -> Reply:
    query = call.query(PageQuery)
    within = None if call.caller.has_every_program else list(call.caller.programs)
    found = await runs.page(call.hub.database, within, LISTING.after(query.cursor), query.limit + 1)
    return Reply(body=LISTING.page(found, query.limit))


@route(
    Operation(
        method="GET",
        path="/runs/{RunId}",
        operation_id="getRun",
        summary="Read a run with its counts as they are now",
        tag="Delivering",
        scopes=("process", "staff"),
        answers=(Answer(status=200, meaning="The run.", body=Run, example=EXAMPLE_RUN),),
        errors=(no_such_run(),),
    )
)
async def get_run(call: Call) -> Reply:
    run = await runs.find(call.hub.database, call.path["RunId"])
    if run is None or not call.caller.may_use(run.program_id):
        raise no_such_run()
    return Reply(body=run)


async def _read(call: Call) -> tuple[ProcessBody, Subscription | None, Scope]:
    """
    What is asked for, the subscription that is named, and which events are meant.

    Raises:
        InvalidFields: With every bad field.
        NotAllowed: The key is not for the Program, or not for the subscription.
    """
    body, errors = await _body(call)
    unread = {error.field.partition("[")[0] for error in errors} & NAMING
    named, scope = None, None
    with gathered(errors):
        named = await _named_subscription(call, body)
    if body.subscription_id is not None and named is None:
        unread |= {"SubscriptionId"}
    with gathered(errors):
        scope = read_scope(body, named.program_id if named else None, unread=unread)
    program_id = scope.program_id if scope else body.program_id
    if program_id is not None:
        with gathered(errors):
            await need_program(call, program_id, _named_in(body))
            if scope is not None:
                await _need_events(call, scope)
    if errors or scope is None:
        raise InvalidFields(errors)
    return body, named, scope


async def _body(call: Call) -> tuple[ProcessBody, list[FieldError]]:
    """What could be read of the body and the address, and what is wrong with the rest."""
    query = call.query(ProcessQuery)
    values, errors = collect(await call.fields(), ProcessBody)
    body = ProcessBody(**values)
    if query.program_id is not None and query.program_id_as_before is not None:
        errors.append(FieldError("programId", "is another spelling of ProgramId: send one of them"))
    in_address = query.program_id or query.program_id_as_before
    if in_address is None:
        return body, errors
    if body.program_id not in (None, in_address):
        errors.append(FieldError("ProgramId", "is another one in the address than in the body"))
    return msgspec.structs.replace(body, program_id=in_address), errors


def _named_in(body: ProcessBody) -> str:
    """The field that named the Program."""
    if body.program_id is None and body.event_date_bucket is not None:
        return "EventDateBucket"
    if body.program_id is None and body.event_ids is not None:
        return "EventIds[0]"
    return "ProgramId"


async def _need_events(call: Call, scope: Scope) -> None:
    """
    Go on only if every event that is named is there.

    Raises:
        InvalidFields: Those that are not; a mistyped one must not look as if there were nothing to do.
    """
    if scope.event_uuids is None:
        return
    there = await events.there(call.hub.database, scope.program_id, scope.event_uuids)
    unknown = [
        FieldError(f"EventIds[{index}]", "is not a known event")
        for index, event_uuid in enumerate(scope.event_uuids)
        if event_uuid not in there
    ]
    if unknown:
        raise InvalidFields(unknown[:MOST_ERRORS])


async def _named_subscription(call: Call, body: ProcessBody) -> Subscription | None:
    if body.subscription_id is None:
        return None
    subscription = await subscriptions.find(call.hub.database, body.subscription_id)
    is_there = subscription is not None and subscription.archived_utc is None
    if subscription is not None and is_there and call.caller.may_use(subscription.program_id):
        return subscription
    if call.caller.has_every_program:
        raise InvalidFields([FieldError("SubscriptionId", "is not a known subscription")])
    raise NotAllowed("This key is not for this subscription.", code="program_not_allowed")


async def _run(call: Call, scope: Scope, chosen: list[Subscription], body: ProcessBody, trigger: Trigger) -> Reply:
    hub = call.hub
    # Whoever asks for a run wants to know now whether a subscriber that was away is back.
    for subscriber_id in {subscription.subscriber_id for subscription in chosen}:
        await pauses.probe_now(hub.database, subscriber_id)
    run_id = await hub.runner.begin(scope, chosen, body, trigger=trigger, requested_by=call.caller.key_id)
    if body.wait:
        counts = await hub.runner.wait(run_id, scope.program_id, hub.settings.run_wait_seconds)
        if counts is not None:
            return Reply(body=RunResult(run_id=run_id, **msgspec.structs.asdict(counts)))
    return Reply(status=202, headers={"Location": f"/runs/{run_id}"})


async def _rehearse(call: Call, scope: Scope, chosen: list[Subscription], body: ProcessBody) -> Reply:
    hub = call.hub
    dry_run = DryRun(hub.database, hub.previewer)

    async def perform() -> Counts:
        is_pending = scope.day is None and scope.event_uuids is None
        meant = await hub.runner.pending_scope(scope, chosen) if is_pending else scope
        return await dry_run.perform(hub.runner.entries(meant), chosen, replay=body.replay)

    run_id, under_way = await hub.runner.begin_dry_run(scope, body, perform, requested_by=call.caller.key_id)
    if body.wait:
        await asyncio.wait([under_way], timeout=hub.settings.run_wait_seconds)
    if not under_way.done():
        return Reply(status=202, headers={"Location": f"/runs/{run_id}"})
    counts = await hub.runner.wait(run_id, scope.program_id, 0)
    fields: dict[str, Any] = msgspec.structs.asdict(counts or Counts())
    return Reply(body=RunResult(run_id=run_id, previews=dry_run.previews, **fields))


ROUTES = (process_events, run_subscription, list_runs, get_run)
