"""The only module that reads the clock, and the only format of times: RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

# Digits beyond microseconds are cut, never rounded: .NET writes seven digits, also for the last instant of a day or of
# its calendar (9999-12-31T23:59:59.9999999), and rounding would carry that into the next day or out of range.
_FINER_THAN_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")
# RFC 3339 allows leap seconds. No datetime holds one, so it becomes the last instant before its end.
_LEAP_SECOND = re.compile(r":59:60(\.[0-9]+)?")


def now() -> datetime:
    """The present time, UTC."""
    return datetime.now(UTC)


def read_time(text: str) -> datetime:
    """
    An RFC 3339 time, converted to UTC and cut to microseconds; a time without an offset is in UTC.

    Raises:
        ValueError: *text* is not such a time, or its offset moves it out of the years 1 to 9999.
    """
    if "." in text:
        text = _FINER_THAN_MICROSECONDS.sub(r"\1", text)
    try:
        return to_utc(msgspec.convert(without_leap_second(text), datetime))
    except msgspec.ValidationError:
        raise ValueError("must be an RFC 3339 time such as 2031-03-14T15:20:00Z") from None


def without_leap_second(text: str) -> str:
    """A time with the last instant before the end of a leap second in place of the leap second."""
    return _LEAP_SECOND.sub(":59:59.999999", text) if ":60" in text else text


def to_utc(moment: datetime) -> datetime:
    """
    *moment* in UTC; a time without an offset is in UTC.

    Raises:
        ValueError: The offset moves it out of the years 1 to 9999.
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
    """*moment* in RFC 3339, in UTC with a final `Z`, with microseconds unless they are 0."""
    return to_utc(moment).replace(tzinfo=None).isoformat() + "Z"
