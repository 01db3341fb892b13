"""A run: making and sending the deliveries of a selection of events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Raw

RunState = Literal["running", "finished", "failed"]
SubscriptionChange = Literal["stop", "start", "archive"]
BulkKind = Literal["stop", "start", "archive", "requeue", "discard"]
Trigger = Literal["processEvents", "run", "cron", "stop", "start", "archive", "requeue", "discard"]
BULK_KINDS: frozenset[str] = frozenset(get_args(BulkKind))


Id = Annotated[str, Meta(min_length=1, max_length=25)]


class ProcessBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which events to process, for which subscription, and how. One of the first four fields is needed."""

    event_date_bucket: Annotated[str, Meta(max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None = None
    subscription_id: (
        Annotated[Id, Meta(description="Only this subscription; it sends even when it is stopped.")] | None
    ) = None
    event_ids: Annotated[list[str], Meta(min_length=1, max_length=10_000)] | None = None
    program_id: (
        Annotated[
            Id,
            Meta(
                description="Alone: events after each subscription's checkpoint, and those with unfinished deliveries."
            ),
        ]
        | None
    ) = None
    replay: Annotated[
        bool, Meta(description="Also send events delivered before; each gets a new delivery with its own id.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Render only; store and send nothing.")] = False
    wait: Annotated[bool, Meta(description="Wait up to 25 seconds for the end; false answers 202 at once.")] = True


class Counts(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The deliveries of a run counted by their results; the counts add up to `Matched`."""

    matched: Annotated[
        int, Meta(description="Deliveries of the run: one for each event and subscription that gets it.")
    ] = 0
    delivered: Annotated[int, Meta(description="Delivered by this run.")] = 0
    unchanged: Annotated[int, Meta(description="Delivered before; not sent again.")] = 0
    waiting: int = 0
    retrying: int = 0
    parked: int = 0
    skipped: int = 0
    superseded: int = 0
    discarded: int = 0


class Progress(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How far a change of many deliveries is."""

    done: Annotated[int, Meta(description="Deliveries changed so far.")]
    total: Annotated[int | None, Meta(description="Deliveries that it concerns; null until they are counted.")]


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A run with its present counts."""

    run_id: str
    program_id: str
    trigger: Annotated[
        Trigger,
        Meta(
            description="What began it: processEvents, run (of a subscription, or a test send) and cron send "
            "deliveries; stop, start, archive, requeue and discard change many of them in batches."
        ),
    ]
    requested_by: str
    request: Annotated[Raw, Meta(description="The request that began the run.", extra_json_schema={"type": "object"})]
    state: RunState
    message: str | None
    started_utc: datetime
    finished_utc: datetime | None
    counts: Annotated[
        Counts,
        Meta(
            description="Of a stop, start, archive, requeue or discard: the deliveries changed so far, by their new "
            "state."
        ),
    ]
    progress: Annotated[
        Progress | None, Meta(description="Of a stop, start, archive, requeue or discard; null for other runs.")
    ] = None


class RunResult(Counts, frozen=True, kw_only=True, rename="pascal", omit_defaults=False):
    """The response of `POST /processEvents`."""

    run_id: str
    previews: (
        Annotated[
            list[dict[str, Any]], Meta(description="With DryRun: what would be sent, for the first hundred deliveries.")
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
