"""Events over HTTP: publishing, reading and withdrawing one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.http.headers import header_text
from learning_hub.api.operations import Answer, Header, Operation, Reply
from learning_hub.api.problems import Problem, answer_for
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.model.errors import (
    Conflict,
    FieldError,
    InvalidFields,
    InvalidInput,
    NotFound,
    NotJson,
)
from learning_hub.model.event import Event, NewEvent, example_event_id
from learning_hub.model.fields import read_object
from learning_hub.model.ids import EventKey, read_event_id
from learning_hub.model.received_event import ReceivedEvent, program_named, read_event, read_ordinary
from learning_hub.publish.submission import Published
from learning_hub.store import subscriptions

EXAMPLE_BODY: dict[str, Any] = {
    "PublisherProgramId": "NURSES",
    "PublisherSystemId": "TopClass",
    "EventType": "AI_COMP_SUCCESS",
    "PublisherEventId": "AI:1234",
    "PublisherParticipantId": "robin.vale@example.org",
    "PublisherEventCategory": {"value": "Online", "label": "Online course"},
    "PublisherEventData": {
        "Activity Code": "FIRE-201",
        "Activity Title": "Fire safety refresher",
        "Completion Date": "2026-11-20T15:20:00Z",
        "Credits": 1.30,
        "Credit Type": "Continuing professional development",
        "Credit Type Code": "CPD",
    },
    "EventStartUtc": "2026-11-20T14:00:00Z",
    "EventEndUtc": "2026-11-20T15:20:00Z",
}
EXAMPLE_EVENT: dict[str, Any] = {
    "EventId": example_event_id(),
    "EventDateBucket": "NURSES-LB-20261122",
    "CreatedUtc": "2026-11-22T08:00:00.123456Z",
    "Revision": 1,
    "Supersedes": None,
    **EXAMPLE_BODY,
}
LOCATION = {"Location": "/events/{EventId} of the event."}
IDEMPOTENCY_KEY = "Idempotency-Key"
NO_SUCH_EVENT = NotFound(f"There is no event {example_event_id()}.")
ANOTHER_SOURCE = Conflict(
    "PublisherProgramId, PublisherSystemId, PublisherEventId and EventType must be those of the event in the address.",
    code="source_key_differs",
)

ProgramFaults = Callable[[str], Awaitable[list[FieldError]]]


class PublishQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How to publish."""

    validate_only: Annotated[bool, Meta(description="Store nothing; tell what would happen.")] = False


class Outlook(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What one subscription would get."""

    subscription_id: str
    template: str | None
    payload: Any
    error: Any


class Forecast(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What publishing the event would do."""

    valid: bool
    problem: Problem | None
    would_be: Annotated[str, Meta(description="`new`, `same` or `revision`; null when it is not valid.")] | None
    subscriptions: list[Outlook]


@route(
    Operation(
        method="POST",
        path="/events",
        operation_id="publishEvent",
        summary="Publish an event",
        description=(
            "The answer is sent after the event is durably committed. The same event again (same Program, system, "
            "PublisherEventId and EventType, equal content) stores nothing; with other content it is the next "
            "revision. With ValidateOnly nothing is stored, and the answer is 200 with what would happen."
        ),
        tag="Publishing",
        scopes=("publish",),
        is_direct=True,
        query=PublishQuery,
        headers={
            IDEMPOTENCY_KEY: Header(
                meaning="The same key again is answered as the first time.", min_length=1, max_length=200
            )
        },
        body=NewEvent,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(status=201, meaning="Stored, as a new event or a new revision. No body.", headers=LOCATION),
            Answer(
                status=200,
                meaning="The same event is there already (no body), or the forecast of ValidateOnly (no Location).",
                body=Forecast,
                is_often_empty=True,
                headers=LOCATION,
            ),
        ),
        errors=(
            NOT_FOR_PROGRAM,
            Conflict("This Idempotency-Key was used with other content.", code="idempotency_key_reused"),
        ),
    )
)
async def publish_event(call: Call) -> Reply:
    if call.query(PublishQuery).validate_only:
        return await _forecast(call)
    event, key = await _read_submission(call)
    published = await call.hub.publisher.submit(event, call.caller, key)
    return Reply(status=201 if published.status == "stored" else 200, headers=_location(published))


@route(
    Operation(
        method="GET",
        path="/events/{EventId}",
        operation_id="getEvent",
        summary="Read an event",
        tag="Reading",
        scopes=("read",),
        answers=(Answer(status=200, meaning="The event.", body=Event, example=EXAMPLE_EVENT),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT),
    )
)
async def get_event(call: Call) -> Reply:
    return Reply(body=await call.hub.publisher.need_event(_event_key(call), call.caller))


@route(
    Operation(
        method="PUT",
        path="/events/{EventId}",
        operation_id="replaceEvent",
        summary="Store the next revision of an event",
        tag="Publishing",
        scopes=("publish",),
        body=NewEvent,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(
                status=200,
                meaning="Stored as the next revision, or unchanged. No body; Location is the latest revision.",
                headers=LOCATION,
            ),
        ),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT, ANOTHER_SOURCE),
    )
)
async def replace_event(call: Call) -> Reply:
    key = _event_key(call)
    call.caller.need_program(key.program_id)
    event = await _read_event(call)
    published = await call.hub.publisher.replace(key, event, call.caller)
    return Reply(headers=_location(published))


@route(
    Operation(
        method="DELETE",
        path="/events/{EventId}",
        operation_id="withdrawEvent",
        summary="Withdraw an event",
        description=(
            "It is not sent where it was not sent yet; where it was, each subscription's OnWithdraw decides. History "
            "stays: the event reads with WithdrawnUtc, and the withdrawal is an entry of its own in the feed."
        ),
        tag="Publishing",
        scopes=("publish",),
        answers=(Answer(status=204, meaning="It is withdrawn, now or before."),),
        errors=(
            NOT_FOR_PROGRAM,
            NO_SUCH_EVENT,
            Conflict(f"{example_event_id()} is not the latest revision of its source.", code="not_latest_revision"),
        ),
    )
)
async def withdraw_event(call: Call) -> Reply:
    await call.hub.publisher.withdraw(_event_key(call), call.caller)
    return Reply(status=204)


async def _forecast(call: Call) -> Reply:
    try:
        event, key = await _read_submission(call)
        would_be = await call.hub.publisher.would_be(event, call.caller, key)
    except NotJson:
        # That is wrong with the request, not with the event.
        raise
    except (InvalidInput, Conflict) as error:
        problem = answer_for(error, call.called_path).problem
        return Reply(body=Forecast(valid=False, problem=problem, would_be=None, subscriptions=[]))
    as_stored = await call.hub.previewer.as_if_published(event)
    outlooks = []
    for subscription in await subscriptions.of_program(call.hub.database, event.publisher_program_id):
        if subscription.wants(event.publisher_system_id, event.event_type):
            shown = await call.hub.previewer.preview(subscription, as_stored)
            outlook = Outlook(
                subscription_id=subscription.subscription_id,
                template=shown.template,
                payload=shown.payload,
                error=shown.error,
            )
            outlooks.append(outlook)
    return Reply(body=Forecast(valid=True, problem=None, would_be=would_be, subscriptions=outlooks))


async def _read_submission(call: Call) -> tuple[ReceivedEvent, str | None]:
    """The event in the body and its Idempotency-Key; what is wrong with either is named together."""
    sent = call.header(IDEMPOTENCY_KEY.lower())
    key = None if sent is None else header_text(sent.encode("latin-1"))
    faults = []
    if key is not None and (not 1 <= len(key) <= 200 or "\0" in key):
        faults.append(FieldError(IDEMPOTENCY_KEY, "must have 1 to 200 characters"))
    try:
        event = await _read_event(call)
    except InvalidFields as error:
        raise InvalidFields(error.errors + faults) from None
    if faults:
        raise InvalidFields(await _faults_of_program(call, event.publisher_program_id) + faults)
    return event, key


async def _read_event(call: Call) -> ReceivedEvent:
    body, most = await call.json_object(), call.hub.settings.max_data_bytes
    return read_ordinary(body, max_data_bytes=most) or await judge_body(body, most, partial(_faults_of_program, call))


async def _faults_of_program(call: Call, program_id: str) -> list[FieldError]:
    return await call.hub.publisher.program_faults(program_id, call.caller)


async def judge_body(body: bytes, max_data_bytes: int, faults_of: ProgramFaults) -> ReceivedEvent:
    """
    The event in a body that is no ordinary one; a Program that takes no events is named together with bad fields.

    Args:
        body: As sent.
        max_data_bytes: Limit for PublisherEventData.
        faults_of: Says why a Program takes no events.

    Raises:
        InvalidInput: It is no well-formed JSON object.
        InvalidFields: With every bad field.
        TooLarge: The data alone are over the limit.
    """
    fields = read_object(body)
    try:
        return read_event(fields, max_data_bytes=max_data_bytes)
    except InvalidFields as error:
        program_id = program_named(fields)
        faults = await faults_of(program_id) if program_id else []
        raise InvalidFields(faults + error.errors) from None


def _event_key(call: Call) -> EventKey:
    text = call.path["EventId"]
    key = read_event_id(text)
    if key is None:
        raise NotFound("There is no such event: an EventId is E:{ProgramId}-{UUID}.")
    return key


def _location(published: Published) -> dict[str, str]:
    return {"Location": f"/events/{published.key}"}


ROUTES = (publish_event, get_event, replace_event, withdraw_event)
