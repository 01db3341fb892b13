"""A time range over a Program's events, and a position within it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.ids import read_bucket

LONGEST_DAYS = 366

Number = Annotated[int, Meta(ge=0, lt=2**62)]


class TimeRange(NamedTuple):
    """Events that were created from *begin_utc* on and before *end_utc*."""

    begin_utc: datetime
    end_utc: datetime


class RangePosition(msgspec.Struct, frozen=True, array_like=True):
    """The position of an event within a time range; events are ordered by day and, within a day, as in the feed."""

    day: date
    epoch: Annotated[int, Meta(ge=0, lt=2**31)]
    xid: Number
    seq: Number

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


def range_of_bucket(bucket: str, program_id: str) -> TimeRange:
    """
    The time range of an EventDateBucket, a day in UTC.

    Raises:
        InvalidFields: *bucket* is malformed, or belongs to another Program than *program_id*.
    """
    found = read_bucket(bucket)
    if found is None:
        raise InvalidFields([FieldError("EventDateBucket", "must be {ProgramId}-LB-YYYYMMDD")])
    if found[0] != program_id:
        raise InvalidFields([FieldError("EventDateBucket", "is not of the subscription's Program")])
    if found[1] == date.max:
        raise InvalidFields([FieldError("EventDateBucket", "is too far in the future")])
    begin_utc = datetime.combine(found[1], time(), UTC)
    return TimeRange(begin_utc, begin_utc + timedelta(days=1))


def range_between(from_utc: datetime | None, to_utc: datetime | None) -> TimeRange:
    """
    The time range from *from_utc* on and before *to_utc*.

    Raises:
        InvalidFields: A time is missing, the second is not after the first, or the range is over 366 days.
    """
    if from_utc is None or to_utc is None:
        missing = "FromUtc" if from_utc is None else "ToUtc"
        raise InvalidFields([FieldError(missing, "is required where the other end is given")])
    if to_utc <= from_utc:
        raise InvalidFields([FieldError("ToUtc", "must be after FromUtc")])
    if to_utc - from_utc > timedelta(days=LONGEST_DAYS):
        raise InvalidFields([FieldError("ToUtc", f"must be {LONGEST_DAYS} days after FromUtc at most")])
    return TimeRange(from_utc, to_utc)
