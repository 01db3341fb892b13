"""
The ETag of a page of the feed, by which it can be told without reading it whether the page is still the same.

It is weak and of the entries alone: at the end of the feed NextCursor moves on with every transaction of the server,
and a reader who keeps the older one misses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from learning_hub.model import feed
from learning_hub.model.errors import InvalidFields

_WRITTEN = re.compile(r'"([0-9a-f]{16})\.([A-Za-z0-9_-]{1,100})\.([0-9]{1,4})"')


class Tag(msgspec.Struct, frozen=True):
    """
    What makes a page: what was *asked*, the place of its *last* entry, and the *count* of its entries.

    Of a page without entries *last* is the place that was asked from.
    """

    asked: str
    last: feed.Position
    count: int

    @property
    def written(self) -> str:
        """As it stands in the header."""
        return f'W/"{self.asked}.{feed.write_cursor(self.last)}.{self.count}"'


def read_tags(if_none_match: str | None) -> Iterator[Tag]:
    """The tags in an If-None-Match header that are of pages of the feed."""
    for asked, last, count in _WRITTEN.findall(if_none_match or ""):
        try:
            yield Tag(asked, feed.read_cursor(last), int(count))
        except InvalidFields:
            continue
