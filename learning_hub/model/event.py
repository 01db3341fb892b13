"""An event: as it is received, as it is stored, and what makes two of them the same."""

from __future__ import annotations

import functools
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.ids import event_id
from learning_hub.model.json_values import read_json

EventType = Literal[
    "AI_COMP_SUCCESS",
    "LPI_STARTED",
    "LPI_COMP_UNSUCCESS",
    "LPI_COMP_SUCCESS",
    "LPI_REOPENED",
    "AI_STARTED",
    "AI_COMP_UNSUCCESS",
    "AI_REOPENED",
]
REOPENED = frozenset({"AI_REOPENED", "LPI_REOPENED"})

ShortText = Annotated[str, Meta(min_length=1, max_length=25)]
LongText = Annotated[str, Meta(min_length=1, max_length=200)]


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The publisher's own classification of an event; the value chooses the template."""

    value: Annotated[str, Meta(min_length=1, max_length=200, description="A stable code.")]
    label: Annotated[str, Meta(max_length=400, description="What people call it; may change.")] | None = None


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """An event as a publisher sends it."""

    publisher_program_id: Annotated[
        ShortText, Meta(description="The Program that owns the event; the key must be for it.")
    ]
    publisher_system_id: Annotated[
        ShortText, Meta(description="The system within the Program, an arbitrary string such as LB.")
    ]
    event_type: Annotated[EventType, Meta(description="What happened. AI_COMP_SUCCESS is the one in use today.")]
    publisher_event_id: Annotated[
        LongText, Meta(description="The publisher's own id of the source event, such as AI:1234.")
    ]
    publisher_participant_id: Annotated[
        LongText, Meta(description="E-mail address or another id of the person or organisation.")
    ]
    publisher_event_category: Category | None = None
    publisher_event_data: Annotated[
        Raw,
        Meta(description="Any content, kept to the character; 256 KiB at most.", extra_json_schema={"type": "object"}),
    ]
    event_start_utc: Annotated[datetime, Meta(description="When it happened, or when it began.")]
    event_end_utc: Annotated[datetime, Meta(description="When it ended; not before the start.")] | None = None


class SourceKey(msgspec.Struct, frozen=True, gc=False):
    """What makes two events the same one: an event that arrives again, or a revision of it."""

    program_id: str
    publisher_system_id: str
    publisher_event_id: str
    event_type: str


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """An event as it is stored and read."""

    event_id: Annotated[str, Meta(description="E:{ProgramId}-{UUID}, assigned by the hub.")]
    event_date_bucket: Annotated[str, Meta(description="{ProgramId}-LB-YYYYMMDD, from CreatedUtc.")]
    created_utc: Annotated[datetime, Meta(description="When the hub stored it.")]
    revision: Annotated[int, Meta(ge=1, description="1 for the first event of a source key.")]
    supersedes: Annotated[str, Meta(description="EventId of the revision before.")] | None
    publisher_program_id: str
    publisher_system_id: str
    event_type: EventType
    publisher_event_id: str
    publisher_participant_id: str
    publisher_event_category: Category | None
    publisher_event_data: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    event_start_utc: datetime
    event_end_utc: datetime | None
    withdrawn_utc: Annotated[datetime, Meta(description="When its publisher withdrew it.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


@functools.lru_cache(maxsize=1_000)
def bucket(program_id: str, day: date) -> str:
    """The EventDateBucket of a Program's day (UTC). The `LB` is a literal of the format, whatever the system."""
    return f"{program_id}-LB-{day.year:04d}{day.month:02d}{day.day:02d}"


def template_scope(event: Event) -> dict[str, Any]:
    """The event as templates see it: every field under its own name, times as text, data as JSON values."""
    return dict(read_json(msgspec.json.encode(event)))


class LatestEntry(msgspec.Struct, frozen=True):
    """The newest feed entry of a source key."""

    event_uuid: UUID
    version: int
    revision: int
    content_hash: bytes
    is_withdrawal: bool


class Classification(msgspec.Struct, frozen=True):
    """What becomes of an event that arrives: *would_be* and, for a stored one, its numbers."""

    would_be: Literal["new", "same", "revision"]
    version: int = 1
    revision: int = 1
    supersedes: UUID | None = None


def judge(latest: LatestEntry | None, content_hash: bytes) -> Classification:
    """
    Whether an event is new, the same as the latest revision, or a revision of it.

    Content that equals the latest is the same event, unless that was withdrawn: then it is a revision, which revives
    it.
    """
    if latest is None:
        return Classification("new")
    if latest.content_hash == content_hash and not latest.is_withdrawal:
        return Classification("same")
    return Classification("revision", latest.version + 1, latest.revision + 1, latest.event_uuid)


def example_event_id(program_id: str = "NURSES") -> str:
    """An EventId for documentation."""
    return event_id(program_id, UUID("0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"))
