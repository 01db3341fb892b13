"""Cursors carry a place in the feed, and nothing else passes for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import InvalidFields
from learning_hub.model.feed import BEGINNING, Position, read_cursor, write_cursor

POSITIONS = st.builds(Position, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))


@given(POSITIONS)
def test_cursors_are_read_back(position: Position) -> None:
    """A cursor is the place it was made of, in characters that need no escaping in a URL."""
    cursor = write_cursor(position)

    assert position == read_cursor(cursor)
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_cursors_stay_valid() -> None:
    """A cursor that an earlier release gave out means the same place for ever."""
    assert Position(1, 4711, 17) == read_cursor("AQAAAAEAAAAAAAASZwAAAAAAAAAR")


@given(POSITIONS, POSITIONS)
def test_positions_are_ordered_as_the_feed(one: Position, other: Position) -> None:
    """Epoch, transaction and number decide in this order, and nothing lies before the beginning."""
    assert (one < other) == ((one.epoch, one.xid, one.seq) < (other.epoch, other.xid, other.seq))
    assert one >= BEGINNING


def _of(prepared: bytes) -> str:
    return base64.urlsafe_b64encode(prepared).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "nonsense",
        "AQAAAAEAAAAAAAASZwAAAAAAAAAR\n",
        " AQAAAAEAAAAAAAASZwAAAAAAAAAR",
        "AQAAAAEAAAAAAAASZwAAAAAAAAARAA",
        "ÄÖÜ",
        "\0",
        "+/==",
        "\ud800",
        _of(b"\x02" + bytes(20)),
        _of(b"\x00" + bytes(20)),
        _of(b"\x01" + b"\x80" + bytes(19)),
        _of(b"\x01" + bytes(4) + b"\xff" * 8 + bytes(8)),
        _of(b"\x01" + bytes(12) + b"\xff" * 8),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """What the hub never gave out is refused by the name of the parameter."""
    with pytest.raises(InvalidFields) as caught:
        read_cursor(text)
    assert [error.field for error in caught.value.errors] == ["Cursor"]


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is a place or is refused."""
    try:
        read_cursor(text)
    except InvalidFields:
        return
