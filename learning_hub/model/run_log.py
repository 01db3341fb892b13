"""The log of a run: the run as its log reports it, the lines, and the position of each line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from learning_hub.model.run import Counts, RunState, Trigger

# A position as text: microseconds since 1970, delivery, number.
_POSITION = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})-([0-9]{1,9})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LoggedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its log reports it; *counts* is None until the run is over."""

    program_id: str
    trigger: Trigger
    requested_by: str
    request: dict[str, Any]
    state: RunState
    counts: Counts | None
    message: str | None


class LogPosition(msgspec.Struct, frozen=True, order=True):
    """The position of an entry in the log of its run: ordered by time, then by delivery, then by number."""

    at_utc: datetime
    delivery_uuid: UUID
    number: int


# Before every entry.
START = LogPosition(datetime(1, 1, 2, tzinfo=UTC), UUID(int=0), 0)


class RunLine(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A line of a run's log; without a delivery, it is about the run itself."""

    at_utc: datetime
    event_id: str | None
    delivery_id: str | None
    message: Annotated[str, Meta(description="What happened, as a sentence for staff.")]


def write_position(position: LogPosition) -> str:
    """A position in a log as text, for a reader who reconnects."""
    return f"{(position.at_utc - _EPOCH) // timedelta(microseconds=1)}-{position.delivery_uuid.hex}-{position.number}"


def read_position(text: str | None) -> LogPosition:
    """The position that `write_position` wrote; the start of the log for any other text."""
    match = _POSITION.fullmatch(text or "")
    try:
        if match:
            return LogPosition(_EPOCH + timedelta(microseconds=int(match[1])), UUID(match[2]), int(match[3]))
    except OverflowError:
        pass
    return START
