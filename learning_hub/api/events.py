"""Events over HTTP: publishing, reading one, and following the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.api.lists import Limit
from learning_hub.api.operations import Answer, Call, Header, Operation, Reply, route
from learning_hub.api.problems import Problem, answer_for
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.model import feed
from learning_hub.model.errors import (
    Conflict,
    FieldError,
    InvalidFields,
    InvalidInput,
    NotFound,
    NotJson,
    Unavailable,
)
from learning_hub.model.event import Event, EventType, NewEvent, example_event_id, program_named, read_event
from learning_hub.model.header import header_text
from learning_hub.model.ids import EventKey, read_bucket, read_event_id
from learning_hub.publish.writer import Published
from learning_hub.store import events, subscriptions
from learning_hub.store.events import FeedFilter

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
LOOK_SECONDS = 1
NO_SUCH_EVENT = NotFound(f"There is no event {example_event_id()}.")
ANOTHER_SOURCE = Conflict(
    "PublisherProgramId, PublisherSystemId, PublisherEventId and EventType must be those of the event in the address.",
    code="source_key_differs",
)

ProgramFaults = Callable[[str], Awaitable[list[FieldError]]]

Text = Annotated[str, Meta(min_length=1, max_length=200)]


class PublishQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How to publish."""

    validate_only: Annotated[bool, Meta(description="Store nothing; tell what would happen.")] = False


class FeedQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which entries of the feed, and from where."""

    event_date_bucket: (
        Annotated[str, Meta(min_length=1, max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None
    ) = None
    program_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=25,
                description="Needed, unless the bucket is given or the key has one Program.",
            ),
        ]
        | None
    ) = None
    publisher_system_id: Text | None = None
    event_type: EventType | None = None
    category: Annotated[Text, Meta(description="The category's value.")] | None = None
    publisher_participant_id: Text | None = None
    publisher_event_id: Text | None = None
    created_since: (
        Annotated[datetime, Meta(description="CreatedUtc at or after this.", extra_json_schema={"format": "date-time"})]
        | None
    ) = None
    limit: Limit = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=500, description="NextCursor of the page before.")] | None = (
        None
    )
    wait: Annotated[int, Meta(ge=0, le=30, description="Seconds to hold an empty answer until something comes.")] = 0


class FeedPage(msgspec.Struct, frozen=True, rename="pascal"):
    """
    Entries of the feed in its order. A reader that follows NextCursor sees each entry exactly once.

    A page without Items is the end of the feed for now; with a filter that matches rarely, one with fewer than Limit
    need not be.
    """

    items: list[Event]
    next_cursor: Annotated[str, Meta(description="Where to read on; given at the end of the feed as well.")]


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
                headers=LOCATION,
                example={"Valid": True, "Problem": None, "WouldBe": "new", "Subscriptions": []},
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
    published = await call.hub.publisher.publish(event, call.caller, key)
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


@route(
    Operation(
        method="GET",
        path="/events",
        operation_id="listEvents",
        summary="Follow the feed of a Program, or read a date bucket",
        description=(
            "Entries in the order in which they became visible, the same for all readers. NextCursor is given at the "
            "end as well, so that a reader can poll for ever; Wait holds an empty answer until something comes. A page "
            "without Items is the end for now; one with fewer than Limit need not be, as a filter that matches rarely "
            "is looked for about a second."
        ),
        tag="Reading",
        scopes=("read",),
        query=FeedQuery,
        answers=(
            Answer(
                status=200,
                meaning="A page of the feed.",
                body=FeedPage,
                example={
                    "Items": [EXAMPLE_EVENT],
                    "NextCursor": feed.write_cursor(feed.Position(1, 4711, 17)),
                },
            ),
        ),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def list_events(call: Call) -> Reply:
    query = call.query(FeedQuery)
    wanted = await _wanted(call, query)
    position = feed.read_cursor(query.cursor) if query.cursor else feed.BEGINNING
    bells = call.hub.bells
    deadline = asyncio.get_running_loop().time() + query.wait
    while True:
        rung = bells.feed.count
        items, position = await _look(call, wanted, position, query.limit)
        left = deadline - asyncio.get_running_loop().time()
        if items or left <= 0 or bells.are_silenced:
            return Reply(body=FeedPage(items, feed.write_cursor(position)))
        # What was committed while an older transaction is open becomes visible without a ring: look now and then.
        await bells.feed.wait(min(left, 0.5), rung)
        await call.confirm_caller()


async def _look(
    call: Call, wanted: FeedFilter, position: feed.Position, limit: int
) -> tuple[list[Event], feed.Position]:
    """
    Entries after *position*, and where to read on: a full page, or all up to the end of the feed.

    Where a filter leaves out so many that this takes over a second, a page that has anything is answered as it is. One
    that has nothing always means the end.
    """
    until = asyncio.get_running_loop().time() + LOOK_SECONDS
    items: list[Event] = []
    while True:
        part = await events.read_feed(call.hub.database, wanted, position, limit - len(items))
        items += part.found
        position = part.position
        is_late = asyncio.get_running_loop().time() >= until
        if part.is_end or len(items) == limit or (items and is_late):
            return items, position
        if call.hub.bells.are_silenced:
            raise Unavailable("The hub is stopping.")
        await call.confirm_caller()


async def _wanted(call: Call, query: FeedQuery) -> FeedFilter:
    """Which entries are wanted; the key must be for the Program, which must exist."""
    program_id = query.program_id
    named_in = "ProgramId"
    day = None
    if query.event_date_bucket is not None:
        bucket = read_bucket(query.event_date_bucket)
        if bucket is None:
            raise InvalidFields([FieldError("EventDateBucket", "must be {ProgramId}-LB-YYYYMMDD")])
        bucket_program, day = bucket
        if program_id not in (None, bucket_program):
            raise InvalidFields([FieldError("ProgramId", "is not the Program of the EventDateBucket")])
        program_id, named_in = bucket_program, "EventDateBucket"
    program_id = program_id or call.caller.only_program()
    if program_id is None:
        raise InvalidFields([FieldError("ProgramId", "or EventDateBucket is needed with a key for several Programs")])
    await call.hub.publisher.need_known_program(program_id, call.caller, field=named_in)
    return FeedFilter(
        program_id=program_id,
        event_date=day,
        publisher_system_id=query.publisher_system_id,
        event_type=query.event_type,
        category=query.category,
        publisher_participant_id=query.publisher_participant_id,
        publisher_event_id=query.publisher_event_id,
        created_since=query.created_since,
    )


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


async def _read_submission(call: Call) -> tuple[NewEvent, str | None]:
    """The event in the body and its Idempotency-Key; what is wrong with either is named together."""
    key = call.header(IDEMPOTENCY_KEY)
    key = None if key is None else header_text(key.encode("latin-1"))
    faults = []
    if key is not None and (not 1 <= len(key) <= 200 or "\0" in key):
        faults.append(FieldError(IDEMPOTENCY_KEY, "must have 1 to 200 characters"))
    try:
        event = await _read_event(call)
    except InvalidFields as error:
        raise InvalidFields(error.errors + faults) from None
    if faults:
        raise InvalidFields(faults)
    return event, key


async def _read_event(call: Call) -> NewEvent:
    async def faults_of(program_id: str) -> list[FieldError]:
        return await call.hub.publisher.program_faults(program_id, call.caller)

    return await judge_fields(await call.fields(), call.hub.settings.max_data_bytes, faults_of)


async def judge_fields(fields: dict[str, Raw], max_data_bytes: int, faults_of: ProgramFaults) -> NewEvent:
    """
    The event of these fields; where some are bad, a Program that takes no events is named together with them.

    Args:
        fields: Of the body, as sent.
        max_data_bytes: Limit for PublisherEventData.
        faults_of: Says why a Program takes no events.

    Raises:
        InvalidFields: With every bad field.
        TooLarge: The data alone are over the limit.
    """
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


ROUTES = (publish_event, get_event, replace_event, withdraw_event, list_events)
