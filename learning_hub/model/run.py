"""A run: one pass of the process stage over a set of events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

RunState = Literal["running", "finished", "failed"]
Trigger = Literal["processEvents", "run", "cron"]


class Counts(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What became of the deliveries of a run; they add up to `Matched`."""

    matched: Annotated[int, Meta(description="Deliveries: events by the subscriptions that get them.")] = 0
    delivered: Annotated[int, Meta(description="Delivered by this run.")] = 0
    unchanged: Annotated[int, Meta(description="Delivered before; not sent again.")] = 0
    waiting: int = 0
    retrying: int = 0
    parked: int = 0
    skipped: int = 0
    superseded: int = 0
    discarded: int = 0


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One pass of the process stage, with its counts as they are now."""

    run_id: str
    program_id: str
    trigger: Trigger
    requested_by: str
    request: Annotated[Raw, Meta(description="What was asked for.", extra_json_schema={"type": "object"})]
    state: RunState
    message: str | None
    started_utc: datetime
    finished_utc: datetime | None
    counts: Counts


class RunLine(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A line of a run's log; of the run itself where it names no delivery."""

    at_utc: datetime
    event_id: str | None
    delivery_id: str | None
    message: Annotated[str, Meta(description="What happened, in words for staff.")]


class RunResult(Counts, frozen=True, kw_only=True, rename="pascal", omit_defaults=False):
    """What `POST /processEvents` answers."""

    run_id: str
    previews: (
        Annotated[list[dict[str, Any]], Meta(description="With DryRun: what would be sent, for the first hundred.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
