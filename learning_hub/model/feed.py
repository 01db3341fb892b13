"""Positions in the feed, the cursors that carry them through the API, and the filter of entries."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import date, datetime

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.event import FieldFilters

_LAYOUT = struct.Struct(">BIQQ")
_FORMAT = 1


class Position(msgspec.Struct, frozen=True, order=True):
    """
    A position between two entries of the feed: directly after the entry with these numbers.

    *epoch* is the epoch of the feed, *xid* the transaction that wrote the entry, *seq* the sequence number of the
    entry. Positions are ordered as the feed is.
    """

    epoch: int
    xid: int
    seq: int


class FeedFilter(FieldFilters, frozen=True, kw_only=True):
    """Which entries of a Program's feed to read; None is no restriction."""

    program_id: str
    event_date: date | None = None
    created_since: datetime | None = None


BEGINNING = Position(0, 0, 0)
END = Position(2**31 - 1, 2**63 - 1, 2**63 - 1)


def write_cursor(position: Position) -> str:
    """The opaque form of a position, for NextCursor."""
    packed = _LAYOUT.pack(_FORMAT, position.epoch, position.xid, position.seq)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(text: str) -> Position:
    """
    The position in a cursor.

    Raises:
        InvalidFields: The hub gave out no such cursor.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        form, epoch, xid, seq = _LAYOUT.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        form, epoch, xid, seq = 0, 0, 0, 0
    if form != _FORMAT or epoch >= 2**31 or xid >= 2**63 or seq >= 2**63:
        raise InvalidFields([FieldError("Cursor", "is not a cursor of this feed")])
    return Position(epoch, xid, seq)
