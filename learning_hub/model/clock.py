"""The only reader of the clock, and the one way times are read and written."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

# What is finer than a microsecond is cut off, never rounded: .NET writes seven digits, the last instant of a day or of
# its calendar (9999-12-31T23:59:59.9999999) as well, and rounding would carry it into the next day or out of range.
_FINER_THAN_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")
# A leap second is RFC 3339; no datetime holds one, so it becomes the last instant before it is over.
_LEAP_SECOND = re.compile(r":59:60(\.[0-9]+)?")

BEGINNING = datetime.min.replace(tzinfo=UTC)


def now() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


def read_time(text: str) -> datetime:
    """
    An RFC 3339 time in UTC, cut to microseconds; one without an offset is taken as UTC.

    Raises:
        ValueError: It is none, or its offset leads out of the years 1 to 9999.
    """
    if "." in text:
        text = _FINER_THAN_MICROSECONDS.sub(r"\1", text)
    if ":60" in text:
        text = _LEAP_SECOND.sub(":59:59.999999", text)
    try:
        return to_utc(msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        raise ValueError("must be an RFC 3339 time such as 2031-03-14T15:20:00Z") from None


def to_utc(moment: datetime) -> datetime:
    """
    *moment* in UTC; one without an offset is taken as UTC.

    Raises:
        ValueError: Its offset leads out of the years 1 to 9999.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("leads out of the years 1 to 9999 in UTC") from None


def written(moment: datetime) -> str:
    """RFC 3339 in UTC ending in `Z`, with microseconds where there are any."""
    return to_utc(moment).replace(tzinfo=None).isoformat() + "Z"
