"""Lists: `{"Items": [...], "NextCursor": ...}`, and the cursors of those that are ordered by one text."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from learning_hub.model.errors import FieldError, InvalidFields

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most, 1 to 1000.")]
Cursor = Annotated[str, Meta(max_length=500, description="NextCursor of the page before.")]


class Page(msgspec.Struct, Generic[T], frozen=True, rename="pascal"):
    """One page of a list."""

    items: list[T]
    next_cursor: Annotated[str, Meta(description="For the next page; null at the end.")] | None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The query parameters of a list without filters."""

    limit: Limit = 100
    cursor: Cursor | None = None


def write_text_cursor(last: str) -> str:
    """A cursor for reading on after *last*."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def read_text_cursor(cursor: str | None) -> str:
    """What to read on after; "" at the beginning. InvalidFields for a cursor the hub never gave out."""
    if cursor is None:
        return ""
    try:
        last = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        last = "\0"
    if not last or "\0" in last:
        raise InvalidFields([FieldError("Cursor", "is not a cursor of this list")])
    return last


def page_of(items: list[T], limit: int, last_of: str | None) -> Page[T]:
    """A page of *items*, asked for with `limit + 1`; *last_of* names the attribute the list is ordered by."""
    more = len(items) > limit
    items = items[:limit]
    cursor = write_text_cursor(str(getattr(items[-1], last_of or ""))) if more else None
    return Page(items, cursor)
