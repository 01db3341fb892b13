"""The feed over HTTP: following it, and reading parts of it."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.events import EXAMPLE_EVENT
from learning_hub.api.feed_tag import Tag, read_tags
from learning_hub.api.lists import Limit
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.model import feed
from learning_hub.model.errors import FieldError, InvalidFields, Unavailable, gathered
from learning_hub.model.event import Event, EventType
from learning_hub.model.ids import read_bucket
from learning_hub.store.feed import FeedFilter, read_feed

LOOK_SECONDS = 1

Text = Annotated[str, Meta(min_length=1, max_length=200)]


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
    wanted, beginning = await _read(call, query)
    asked = _fingerprint(wanted, query)
    known = next((tag for tag in read_tags(call.header("if-none-match")) if tag.asked == asked), None)
    if known and await _still_holds(call, wanted, known, query):
        return Reply(status=304, headers={"ETag": known.written})
    notifications = call.hub.notifications
    deadline = asyncio.get_running_loop().time() + query.wait
    position = beginning
    while True:
        seen = notifications.feed.count
        read = await _look(call, wanted, position, query.limit)
        left = deadline - asyncio.get_running_loop().time()
        if read.items or left <= 0 or notifications.is_closed:
            # Of an empty page not the place that was reached: that moves on with every transaction of the server.
            tag = Tag(asked, read.last or beginning, len(read.items))
            return Reply(
                body=FeedPage(read.items, feed.write_cursor(read.position)),
                headers={"ETag": tag.written},
            )
        position = read.position
        # What was committed while an older transaction is open becomes visible without a ring: look now and then.
        await notifications.feed.wait(min(left, 0.5), seen)
        await call.confirm_caller()


def _fingerprint(wanted: FeedFilter, query: FeedQuery) -> str:
    """Of what is asked for, however long the caller waits for it."""
    asked = msgspec.json.encode([wanted, query.cursor, query.limit])
    return hashlib.blake2b(asked, digest_size=8).hexdigest()


async def _still_holds(call: Call, wanted: FeedFilter, tag: Tag, query: FeedQuery) -> bool:
    """
    Whether a page is what it was, found out without reading it.

    The feed is only appended to: as long as its last entry is there a full page does not change, and another one does
    when an entry follows.
    """
    if tag.count == 0:
        return not query.wait and not (await _look(call, wanted, tag.last, 1)).items
    before_last = msgspec.structs.replace(tag.last, seq=tag.last.seq - 1)
    read = await _look(call, wanted, before_last, 1 if tag.count == query.limit else 2)
    return read.last == tag.last


class _Read(NamedTuple):
    """Entries, the place to read on from, and that of the last of them."""

    items: list[Event]
    position: feed.Position
    last: feed.Position | None


async def _look(call: Call, wanted: FeedFilter, position: feed.Position, limit: int) -> _Read:
    """
    Entries after *position*, and where to read on: a full page, or all up to the end of the feed.

    The end is that of the moment of asking: what was stored by then and is still held back by an older transaction,
    mostly for some milliseconds, is waited for. So a publisher that has its answer finds its event.

    Where a filter leaves out so many that this takes over a second, a page that has anything is answered as it is. One
    that has nothing means the end, or that a transaction stays open.
    """
    until = asyncio.get_running_loop().time() + LOOK_SECONDS
    items: list[Event] = []
    last: feed.Position | None = None
    asked_for: feed.Position | None = None
    pauses = (0.005 * 2**step for step in range(7))
    while True:
        part = await read_feed(call.hub.database, wanted, position, limit - len(items))
        items += part.found
        position, last = part.position, part.last or last
        if part.is_end:
            asked_for = asked_for or part.held_back
            pause = next(pauses, None)
            if asked_for is None or position > asked_for or pause is None:
                return _Read(items, position, last)
            await asyncio.sleep(pause)
        if len(items) == limit or (items and asyncio.get_running_loop().time() >= until):
            return _Read(items, position, last)
        if call.hub.notifications.is_closed:
            raise Unavailable("The hub is stopping.")
        await call.confirm_caller()


async def _read(call: Call, query: FeedQuery) -> tuple[FeedFilter, feed.Position]:
    """
    Which entries are wanted, and from where on.

    Raises:
        InvalidFields: With every bad parameter.
    """
    errors: list[FieldError] = []
    wanted, position = None, feed.BEGINNING
    with gathered(errors):
        wanted = await _wanted(call, query)
    if query.cursor:
        with gathered(errors):
            position = feed.read_cursor(query.cursor)
    if errors or wanted is None:
        raise InvalidFields(errors)
    return wanted, position


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


ROUTES = (list_events,)
