"""Single events over HTTP: publish, read, replace and withdraw one. It also serves the feed, on the same path."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta

from learning_hub.api.event_examples import EXAMPLE_BODY, EXAMPLE_DETAIL, NO_SUCH_EVENT
from learning_hub.api.feed import LIST_EVENTS, read_feed_page
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.headers import header_text
from learning_hub.api.http.operation import Header, Operation, ResponseSpec
from learning_hub.api.http.problems import Problem, problem_response
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.errors import MOST_ERRORS_OF_EVENT, Conflict, FieldError, InvalidFields, InvalidInput, NotJson
from learning_hub.model.event import EventDetail, NewEvent, PublishingOutcome, event_tag
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.submission import Published, idempotency_key_reused
from learning_hub.services.event_validation import EventValidation, SubscriptionPreview
from learning_hub.services.events import Events, need_event_key, source_key_differs
from learning_hub.services.feed import Feed

# The status of the response for each outcome of a published event.
PUBLISHING_STATUS: dict[PublishingOutcome, int] = {"stored": 201, "same": 200}
LOCATION = {"Location": "/events/{EventId} of the event."}
IDEMPOTENCY_KEY = "Idempotency-Key"


class PublishQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How to publish."""

    validate_only: Annotated[bool, Meta(description="Store nothing; answer what publishing would do.")] = False


class ValidationResult(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What publishing the event would do."""

    valid: bool
    problem: Problem | None
    would_be: Annotated[str, Meta(description="`new`, `same` or `revision`; null when it is not valid.")] | None
    subscriptions: list[SubscriptionPreview]


EXAMPLE_VALIDATION = {
    "Valid": True,
    "Problem": None,
    "WouldBe": "new",
    "Subscriptions": [
        {
            "SubscriptionId": "nurses-activities",
            "Template": "Online",
            "Payload": {"ActivityType": "TCLEARNING", "Source": "TopClass", "Description": "Fire safety refresher"},
            "Error": None,
        }
    ],
}

PUBLISH_EVENT = Operation(
    method="POST",
    path="/events",
    operation_id="publishEvent",
    summary="Publish an event",
    description=(
        "The response is sent after the event is durably committed. Publishing the same event again (same Program, "
        "system, PublisherEventId and EventType, equal content) stores nothing; other content under the same key is "
        "stored as the next revision. With ValidateOnly nothing is stored: the response is 200 and says what "
        "publishing would do."
    ),
    tag="Publishing",
    scopes=("publish",),
    is_direct=True,
    query=PublishQuery,
    headers={
        IDEMPOTENCY_KEY: Header(
            meaning="A request that repeats this key gets the first response again.", min_length=1, max_length=200
        )
    },
    body=NewEvent,
    body_example=EXAMPLE_BODY,
    responses=(
        ResponseSpec(
            status=201, meaning="The event is stored, as a new event or a new revision. No body.", headers=LOCATION
        ),
        ResponseSpec(
            status=200,
            meaning="The same event is already stored (no body), or the result of ValidateOnly (no Location).",
            body=ValidationResult,
            is_often_empty=True,
            headers=LOCATION,
            example=EXAMPLE_VALIDATION,
        ),
    ),
    errors=(NOT_FOR_PROGRAM, idempotency_key_reused()),
)
GET_EVENT = Operation(
    method="GET",
    path="/events/{EventId}",
    operation_id="getEvent",
    summary="Read an event",
    tag="Reading",
    scopes=("read",),
    responses=(ResponseSpec(status=200, meaning="The event.", body=EventDetail, example=EXAMPLE_DETAIL),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT),
)
REPLACE_EVENT = Operation(
    method="PUT",
    path="/events/{EventId}",
    operation_id="replaceEvent",
    summary="Store the next revision of an event",
    tag="Publishing",
    is_conditional=True,
    scopes=("publish",),
    body=NewEvent,
    body_example=EXAMPLE_BODY,
    responses=(
        ResponseSpec(
            status=200,
            meaning="The event is stored as the next revision, or is unchanged. No body; Location is the latest "
            "revision.",
            headers=LOCATION,
        ),
    ),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT, source_key_differs()),
)
WITHDRAW_EVENT = Operation(
    method="DELETE",
    path="/events/{EventId}",
    operation_id="withdrawEvent",
    summary="Withdraw an event",
    description=(
        "The id of any revision stands for its source, whose latest revision is withdrawn. "
        "Subscriptions that have not sent the event do not send it any more; for those that have, OnWithdraw of the "
        "subscription decides. The history stays: the event is shown with WithdrawnUtc, and the withdrawal is a "
        "separate entry in the feed."
    ),
    tag="Publishing",
    is_conditional=True,
    scopes=("publish",),
    responses=(ResponseSpec(status=204, meaning="The event is withdrawn, by this request or an earlier one."),),
    errors=(NOT_FOR_PROGRAM, NO_SUCH_EVENT),
)


class EventController(ApiController):
    """Events: single ones, and the feed."""

    @route(PUBLISH_EVENT)
    async def publish_event(
        self,
        request: ApiRequest,
        publisher: NamedDependency[Publisher],
        events: NamedDependency[Events],
        event_validation: NamedDependency[EventValidation],
    ) -> ApiResponse:
        if request.read_query(PublishQuery).validate_only:
            return await _validate(request, events, event_validation)
        event, key = await _read_submission(request, events)
        published = await publisher.submit(event, request.caller, key)
        return ApiResponse(status=PUBLISHING_STATUS[published.outcome], headers=_location(published))

    @route(LIST_EVENTS)
    async def list_events(self, request: ApiRequest, feed: NamedDependency[Feed]) -> ApiResponse:
        return await read_feed_page(request, feed)

    @route(GET_EVENT)
    async def get_event(self, request: ApiRequest, events: NamedDependency[Events]) -> ApiResponse:
        found = await events.get(request.caller, request.path_id("EventId"))
        return ApiResponse(found.event, tag=found.tag)

    @route(REPLACE_EVENT)
    async def replace_event(self, request: ApiRequest, events: NamedDependency[Events]) -> ApiResponse:
        event_id = request.path_id("EventId")
        # Before the body is received.
        request.caller.need_program(need_event_key(event_id).program_id)
        event = await events.read_body(request.caller, await request.read_json_object())
        published = await events.replace(request.caller, event_id, event, request.precondition())
        return ApiResponse(headers=_location(published), tag=event_tag(published.key.event_uuid, is_withdrawn=False))

    @route(WITHDRAW_EVENT)
    async def withdraw_event(self, request: ApiRequest, events: NamedDependency[Events]) -> ApiResponse:
        await events.withdraw(request.caller, request.path_id("EventId"), request.precondition())
        return ApiResponse(status=204)


async def _validate(request: ApiRequest, events: Events, event_validation: EventValidation) -> ApiResponse:
    try:
        event, key = await _read_submission(request, events)
        would_be, previews = await event_validation.validate(request.caller, event, key)
    except NotJson:
        # The request is wrong, not the event.
        raise
    except (InvalidInput, Conflict) as error:
        problem = problem_response(error, request.context.called_path).problem
        return ApiResponse(ValidationResult(valid=False, problem=problem, would_be=None, subscriptions=[]))
    return ApiResponse(ValidationResult(valid=True, problem=None, would_be=would_be, subscriptions=previews))


async def _read_submission(request: ApiRequest, events: Events) -> tuple[ReceivedEvent, str | None]:
    """The event in the body and its Idempotency-Key; faults of both are reported together."""
    sent = request.header(IDEMPOTENCY_KEY.lower())
    key = None if sent is None else header_text(sent.encode("latin-1"))
    errors = []
    if key is not None and (not 1 <= len(key) <= 200 or "\0" in key):
        errors.append(FieldError(IDEMPOTENCY_KEY, "must have 1 to 200 characters"))
    try:
        event = await events.read_body(request.caller, await request.read_json_object())
    except InvalidFields as error:
        raise InvalidFields(errors + error.errors, most=MOST_ERRORS_OF_EVENT, more=error.more) from None
    if errors:
        program_errors = await events.program_errors(request.caller, event.publisher_program_id)
        raise InvalidFields(program_errors + errors)
    return event, key


def _location(published: Published) -> dict[str, str]:
    return {"Location": f"/events/{published.key}"}
