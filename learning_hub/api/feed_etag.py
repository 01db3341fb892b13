"""
The ETag of a page of the feed, which shows without reading the page whether it is unchanged.

The tag is weak and covers the entries alone: at the end of the feed NextCursor moves on with every transaction of the
server, and a reader who keeps the older cursor misses nothing.
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
    The identity of a page: the *fingerprint* of the query, the position of the *last* entry, the *count* of entries.

    For a page without entries, *last* is the position from which the page was read.
    """

    fingerprint: str
    last: feed.Position
    count: int

    @property
    def written(self) -> str:
        """The value of the ETag header."""
        return f'W/"{self.fingerprint}.{feed.write_cursor(self.last)}.{self.count}"'


def read_tags(if_none_match: str | None) -> Iterator[Tag]:
    """The tags in an If-None-Match header that belong to pages of the feed."""
    for fingerprint, last, count in _WRITTEN.findall(if_none_match or ""):
        try:
            yield Tag(fingerprint, feed.read_cursor(last), int(count))
        except InvalidFields:
            continue
