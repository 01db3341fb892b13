"""Pages of lists, `{"Items": [...], "NextCursor": ...}`, and the opaque cursors of lists ordered by one text."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from learning_hub.model.errors import FieldError, InvalidFields

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=1000, description="The largest number of items, 1 to 1000.")]
Cursor = Annotated[str, Meta(max_length=500, description="NextCursor of the previous page.")]


class Page(msgspec.Struct, Generic[T], frozen=True, rename="pascal"):
    """One page of a list."""

    items: list[T]
    next_cursor: Annotated[str, Meta(description="The cursor of the next page; null at the end.")] | None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The query parameters of a list without filters."""

    limit: Limit = 100
    cursor: Cursor | None = None


class Listing(msgspec.Struct, frozen=True):
    """
    A list that makes its own cursors: the *name* of the list, a colon, and the value that its items are *ordered_by*.

    Cursors stay valid, so the name must never change.
    """

    name: str
    ordered_by: str

    def after(self, cursor: str | None) -> str:
        """
        The value to read on after; "" at the beginning.

        Raises:
            InvalidFields: The cursor is not from the hub, or is from another list.
        """
        if cursor is None:
            return ""
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            text = ""
        name, _, last = text.partition(":")
        if name != self.name or not last or "\0" in last:
            raise self.foreign()
        return last

    def page(self, found: list[T], limit: int) -> Page[T]:
        """A page of the items *found* by a query for `limit + 1` of them."""
        items = found[:limit]
        return Page(items, self.cursor(items[-1]) if len(found) > limit else None)

    def cursor(self, item: object) -> str:
        """The cursor for the items after *item*."""
        text = f"{self.name}:{getattr(item, self.ordered_by)}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def foreign(self) -> InvalidFields:
        """The error for a cursor that is not from this list."""
        return InvalidFields([FieldError("Cursor", "is not a cursor of this list")])
