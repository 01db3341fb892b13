"""
An event: its fields, as a publisher sends them and as the hub stores them, and what makes two events the same.

EVENT_FIELDS declares once where each field is stored and what it decides. The columns and INSERT lists of the store,
the content hash, the feed's filters and what a template sees follow from it. How to add a field: CONTRIBUTING.md.
"""

from __future__ import annotations

import functools
from datetime import date, datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.ids import event_id

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
# The outcome of a published event: `stored` as a new entry of the feed; `same`: the latest revision has equal content.
PublishingOutcome = Literal["stored", "same"]
WouldBe = Literal["new", "same", "revision"]
# The event types that say that an earlier success is no longer valid.
REOPENED: frozenset[EventType] = frozenset({"AI_REOPENED", "LPI_REOPENED"})

ShortText = Annotated[str, Meta(min_length=1, max_length=25)]
LongText = Annotated[str, Meta(min_length=1, max_length=200)]


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The publisher's own classification of an event; the value chooses the template."""

    value: Annotated[str, Meta(min_length=1, max_length=200, description="A stable code.")]
    label: Annotated[str, Meta(max_length=400, description="The name for people; it may change.")] | None = None


# The docstrings of NewEvent and Event appear in the OpenAPI document.
# Each field of NewEvent is declared in EVENT_FIELDS as well, and is a field of Event.
class NewEvent(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """An event as a publisher sends it."""

    publisher_program_id: Annotated[
        ShortText, Meta(description="The Program that owns the event; the key must be for it.")
    ]
    publisher_system_id: Annotated[
        ShortText, Meta(description="The system within the Program, an arbitrary string such as LB.")
    ]
    event_type: Annotated[EventType, Meta(description="What happened. AI_COMP_SUCCESS is the type in use today.")]
    publisher_event_id: Annotated[
        LongText, Meta(description="The publisher's own id of the source event, such as AI:1234.")
    ]
    publisher_participant_id: Annotated[
        LongText, Meta(description="E-mail address or another id of the person or organisation.")
    ]
    publisher_event_category: Category | None = None
    publisher_event_data: Annotated[
        Raw,
        Meta(description="Any content, kept exactly as sent; 256 KiB at most.", extra_json_schema={"type": "object"}),
    ]
    event_start_utc: Annotated[datetime, Meta(description="When it happened, or when it began.")]
    event_end_utc: Annotated[datetime, Meta(description="When it ended; not before the start.")] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """An event as it is stored and read."""

    event_id: Annotated[str, Meta(description="E:{ProgramId}-{UUID}, assigned by the hub.")]
    event_date_bucket: Annotated[str, Meta(description="{ProgramId}-LB-YYYYMMDD, from CreatedUtc.")]
    created_utc: Annotated[datetime, Meta(description="When the hub stored it, by the clock of the database.")]
    revision: Annotated[int, Meta(ge=1, description="1 for the first event of a source key.")]
    supersedes: Annotated[str, Meta(description="EventId of the previous revision.")] | None
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


class EventDetail(Event, frozen=True, kw_only=True, rename="pascal", gc=False):
    """An event with the revision that came after it, which no entry of the feed can know."""

    superseded_by: Annotated[str, Meta(description="EventId of the next revision; null for the latest.")] | None


class FieldFilters(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    The filters of the feed by a field of the event: the exact value, or None for no restriction.

    A participant is found in every spelling of the id (`participant_id.participant_key`).
    """

    publisher_system_id: LongText | None = None
    event_type: EventType | None = None
    category: Annotated[LongText, Meta(description="The category's value.")] | None = None
    publisher_participant_id: LongText | None = None
    publisher_event_id: LongText | None = None


class EventField(NamedTuple):
    """
    One field of NewEvent: where it is stored, and what it decides.

    *attribute* is its name in NewEvent, ReceivedEvent and Event.

    *columns* are its columns in the table `event`, each with its PostgreSQL type. A field that is a Struct has one
    column for each field of the Struct, in their order; the first column is not null if the Struct is present.

    *role*: a `source key` field decides which event this is, and can never change. A `content` field is part of the
    content hash, so that another value is a revision. An `added content` field is the same for a field that was added
    after events had been stored: it must be optional, and an event without it keeps the hash it had before.

    *filter* is its filter in FieldFilters; None for a field that is no filter. A filter compares the first column.
    *has_walk* says that feed.sql names this filter itself, because it has an index; all other filters are compared
    entry by entry.
    """

    attribute: str
    columns: dict[str, str]
    role: Literal["source key", "content", "added content"]
    filter: str | None = None
    has_walk: bool = False

    @property
    def name(self) -> str:
        """Its name in JSON."""
        return _JSON_NAMES[self.attribute]


EVENT_FIELDS = (
    # Not a filter, because every query of the feed is for one Program.
    EventField("publisher_program_id", {"program_id": "text"}, "source key"),
    EventField("publisher_system_id", {"publisher_system_id": "text"}, "source key", filter="publisher_system_id"),
    EventField("event_type", {"event_type": "text"}, "source key", filter="event_type"),
    EventField(
        "publisher_event_id",
        {"publisher_event_id": "text"},
        "source key",
        filter="publisher_event_id",
        has_walk=True,
    ),
    EventField(
        "publisher_participant_id",
        {"publisher_participant_id": "text"},
        "content",
        filter="publisher_participant_id",
        has_walk=True,
    ),
    EventField(
        "publisher_event_category",
        {"category_value": "text", "category_label": "text"},
        "content",
        filter="category",
    ),
    EventField("publisher_event_data", {"data": "json"}, "content"),
    EventField("event_start_utc", {"event_start_utc": "timestamptz"}, "content"),
    EventField("event_end_utc", {"event_end_utc": "timestamptz"}, "content"),
)
FILTERS = {field.filter: field for field in EVENT_FIELDS if field.filter}
SCANNED_FILTERS = {name: field for name, field in FILTERS.items() if not field.has_walk}


_JSON_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(NewEvent)}
# The fields of an event by their names in JSON, those that the hub assigns first.
EVENT_NAMES = (
    *(field.encode_name for field in msgspec.structs.fields(Event) if field.name not in _JSON_NAMES),
    *_JSON_NAMES.values(),
)


class SourceKey(msgspec.Struct, frozen=True, gc=False):
    """The fields that an event shares with its revisions and its repetitions."""

    program_id: str
    publisher_system_id: str
    publisher_event_id: str
    event_type: str


@functools.lru_cache(maxsize=1_000)
def bucket(program_id: str, day: date) -> str:
    """The EventDateBucket of a Program's day (UTC). `LB` is a literal of the format, whatever the system."""
    return f"{program_id}-LB-{day.year:04d}{day.month:02d}{day.day:02d}"


def event_tag(event_uuid: UUID, *, is_withdrawn: bool) -> str:
    """The entity tag of a source: its latest revision, and whether that one is withdrawn."""
    return f'"{event_uuid}-withdrawn"' if is_withdrawn else f'"{event_uuid}"'


class LatestEntry(msgspec.Struct, frozen=True):
    """The newest feed entry of a source key."""

    event_uuid: UUID
    version: int
    revision: int
    content_hash: bytes
    is_withdrawal: bool

    @property
    def tag(self) -> str:
        return event_tag(self.event_uuid, is_withdrawn=self.is_withdrawal)


class Classification(msgspec.Struct, frozen=True):
    """
    The result of classifying a published event.

    *version*, *revision* and *supersedes* are those of the entry to store; they are meaningless if *would_be* is
    `same`, because nothing is stored.
    """

    would_be: WouldBe
    version: int = 1
    revision: int = 1
    supersedes: UUID | None = None


def classify(latest: LatestEntry | None, content_hash: bytes) -> Classification:
    """
    Classify an event by the newest entry of its source key.

    An event with the content of the latest revision is the same event. After a withdrawal it is a revision, which
    revives the event.

    Args:
        latest: The newest entry of the event's source key; None if it has no entry.
        content_hash: The content hash of the event.
    """
    if latest is None:
        return Classification("new")
    if latest.content_hash == content_hash and not latest.is_withdrawal:
        return Classification("same")
    return Classification("revision", latest.version + 1, latest.revision + 1, latest.event_uuid)


def example_event_id(program_id: str = "NURSES") -> str:
    """An EventId for documentation."""
    return event_id(program_id, UUID("0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"))
