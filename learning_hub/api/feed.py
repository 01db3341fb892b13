"""The feed over HTTP: following it, reading parts of it, and the ETag that shows whether a page is unchanged."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.api.event_examples import EXAMPLE_EVENT
from learning_hub.api.http.error_responses import NOT_FOR_PROGRAM
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.model.errors import InvalidFields
from learning_hub.model.event import Event
from learning_hub.model.feed import FeedFilter, Position, read_cursor, write_cursor
from learning_hub.services.feed import Feed, FeedQuery

_WRITTEN_TAG = re.compile(r'"([0-9a-f]{16})\.([A-Za-z0-9_-]{1,100})\.([0-9]{1,4})"')


class FeedPage(msgspec.Struct, frozen=True, rename="pascal"):
    """
    Entries of the feed in its order. A reader that follows NextCursor sees each entry exactly once.

    A page without Items is the end of the feed for now; a page with fewer Items than Limit need not be, if the filter
    matches rarely.
    """

    items: list[Event]
    next_cursor: Annotated[
        str, Meta(description="The cursor of the next page; also given at the end of the feed, for polling.")
    ]


LIST_EVENTS = Operation(
    method="GET",
    path="/events",
    operation_id="listEvents",
    summary="Follow the feed of a Program, or read a date bucket",
    description=(
        "Entries come in the order in which they became visible, which is the same for all readers. NextCursor is "
        "also given at the end of the feed, so that a reader can keep polling; with Wait, an empty response is held "
        "back until an entry arrives. A page without Items is the end of the feed for now. A page with fewer Items "
        "than Limit need not be the end: the hub searches for about a second for entries that match the filter."
    ),
    tag="Reading",
    scopes=("read",),
    query=FeedQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="A page of the feed.",
            body=FeedPage,
            example={
                "Items": [EXAMPLE_EVENT],
                "NextCursor": write_cursor(Position(1, 4711, 17)),
            },
        ),
    ),
    errors=(NOT_FOR_PROGRAM,),
)


async def read_feed_page(request: ApiRequest, feed: Feed) -> ApiResponse:
    """A page of the feed; 304 if the caller has the same page already."""
    query = request.read_query(FeedQuery)
    feed_filter, beginning = await feed.read_query(request.caller, query)
    fingerprint = _fingerprint(feed_filter, query)
    tags = _read_tags(request.header("if-none-match"))
    known = next((tag for tag in tags if tag.fingerprint == fingerprint), None)
    if known and await _is_unchanged(request, feed, feed_filter, known, query):
        return ApiResponse(status=304, headers={"ETag": known.written})
    read = await feed.wait_for(
        request.caller, feed_filter, beginning, query.limit, wait_seconds=query.wait, confirm=request.confirm_caller
    )
    # The tag of an empty page holds where reading began: the position reached moves with every transaction of the
    # server.
    tag = _Tag(fingerprint, read.last or beginning, len(read.items))
    return ApiResponse(FeedPage(read.items, write_cursor(read.position)), headers={"ETag": tag.written})


class _Tag(msgspec.Struct, frozen=True):
    """
    The ETag of a page: the *fingerprint* of the query, the position of the *last* entry, the *count* of entries.

    For a page without entries, *last* is the position from which the page was read. The tag is weak and covers the
    entries alone: at the end of the feed NextCursor moves on with every transaction of the server, and a reader who
    keeps the older cursor misses nothing.
    """

    fingerprint: str
    last: Position
    count: int

    @property
    def written(self) -> str:
        """The value of the ETag header."""
        return f'W/"{self.fingerprint}.{write_cursor(self.last)}.{self.count}"'


def _read_tags(if_none_match: str | None) -> Iterator[_Tag]:
    """The tags in an If-None-Match header that belong to pages of the feed."""
    for fingerprint, last, count in _WRITTEN_TAG.findall(if_none_match or ""):
        try:
            yield _Tag(fingerprint, read_cursor(last), int(count))
        except InvalidFields:
            continue


def _fingerprint(feed_filter: FeedFilter, query: FeedQuery) -> str:
    """A digest of the filter, cursor and limit; Wait does not count."""
    encoded = msgspec.json.encode([feed_filter, query.cursor, query.limit])
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


async def _is_unchanged(request: ApiRequest, feed: Feed, feed_filter: FeedFilter, tag: _Tag, query: FeedQuery) -> bool:
    """
    Whether a page is unchanged, found out without reading it.

    The feed is only appended to: as long as its last entry exists a full page does not change, and any other page
    changes when an entry follows.
    """
    if tag.count == 0:
        return not query.wait and not (await feed.read(feed_filter, tag.last, 1, confirm=request.confirm_caller)).items
    before_last = msgspec.structs.replace(tag.last, seq=tag.last.seq - 1)
    limit = 1 if tag.count == query.limit else 2
    return (await feed.read(feed_filter, before_last, limit, confirm=request.confirm_caller)).last == tag.last
