"""An event that has arrived: read from a body, and fit to be stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from learning_hub.model.clock import read_time
from learning_hub.model.errors import FieldError, InvalidFields, TooLarge
from learning_hub.model.event import Category, EventType, NewEvent, SourceKey
from learning_hub.model.fields import bare, collect
from learning_hub.model.json_values import content_hash, has_nul_escape, read_json, read_storable


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    What a NewEvent says, its times in UTC and cut to microseconds.

    *data* is PublisherEventData as sent, UTF-8. *content_hash* has 32 bytes, equal where everything but the source key
    is equal: times as instants, data as JSON values, numbers as decimals.
    """

    publisher_program_id: str
    publisher_system_id: str
    event_type: EventType
    publisher_event_id: str
    publisher_participant_id: str
    publisher_event_category: Category | None
    data: bytes
    event_start_utc: datetime
    event_end_utc: datetime | None
    content_hash: bytes

    @property
    def source_key(self) -> SourceKey:
        return SourceKey(self.publisher_program_id, self.publisher_system_id, self.publisher_event_id, self.event_type)


def _as_sent() -> msgspec.json.Decoder[Any]:
    """Reads the fields of an event with its times as they were written, which may be more exact than a datetime."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(NewEvent):
        kind = field.type if bare(field.type) is not datetime else str if field.required else str | None
        fields.append((field.name, kind) if field.required else (field.name, kind, field.default))
    struct = msgspec.defstruct("AsSent", fields, rename="pascal", kw_only=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(struct)


_AS_SENT = _as_sent()


def read_ordinary(body: bytes, *, max_data_bytes: int) -> ReceivedEvent | None:
    """
    The event of a body with nothing remarkable in it, some ten times as fast as `read_event` takes field by field.

    Returns:
        None where there may be anything wrong: `read_event` then finds out what.
    """
    # Escapes for what PostgreSQL does not store; the rest of what it refuses is no JSON in UTF-8.
    if has_nul_escape(body):
        return None
    try:
        body.decode()
        sent = _AS_SENT.decode(body)
        start = read_time(sent.event_start_utc)
        end = None if sent.event_end_utc is None else read_time(sent.event_end_utc)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    data = bytes(sent.publisher_event_data)
    if not data.startswith(b"{") or len(data) > max_data_bytes or (end and end < start):
        return None
    value = read_storable(data)
    return None if value is None else _received_event(sent, data, value, start, end)


def read_event(fields: dict[str, Raw], *, max_data_bytes: int) -> ReceivedEvent:
    """
    An event from the fields of a body.

    Args:
        fields: The body's fields, as sent.
        max_data_bytes: Limit for PublisherEventData as sent, in bytes of UTF-8.

    Raises:
        InvalidFields: With every bad field.
        TooLarge: The data alone are over the limit.
    """
    data = bytes(fields.get("PublisherEventData", b""))
    if len(data) > max_data_bytes:
        raise TooLarge(f"PublisherEventData has {len(data)} bytes; the limit is {max_data_bytes}.")
    values, errors = collect(fields, NewEvent)
    if data and data[:1] != b"{" and not any(error.field == "PublisherEventData" for error in errors):
        errors.append(FieldError("PublisherEventData", "must be an object"))
    start, end = values.get("event_start_utc"), values.get("event_end_utc")
    if start and end and end < start:
        errors.append(FieldError("EventEndUtc", "must not be before EventStartUtc"))
    if errors:
        raise InvalidFields(errors)
    event = NewEvent(**values)
    return _received_event(event, data, read_json(data), event.event_start_utc, event.event_end_utc)


def _received_event(sent: Any, data: bytes, value: Any, start: datetime, end: datetime | None) -> ReceivedEvent:
    """From what was *sent*, a NewEvent or one with its times as written; *value* is what *data* say."""
    category = sent.publisher_event_category
    parts = None if category is None else [category.value, category.label]
    # Each by its name: the detour over a dict takes as long as reading the body.
    return ReceivedEvent(
        publisher_program_id=sent.publisher_program_id,
        publisher_system_id=sent.publisher_system_id,
        event_type=sent.event_type,
        publisher_event_id=sent.publisher_event_id,
        publisher_participant_id=sent.publisher_participant_id,
        publisher_event_category=category,
        data=data,
        event_start_utc=start,
        event_end_utc=end,
        content_hash=content_hash(sent.publisher_participant_id, parts, value, start, end),
    )


def program_named(fields: dict[str, Raw]) -> str | None:
    """The Program that a body with bad fields names; None where this field is bad itself."""
    values, _ = collect({"PublisherProgramId": fields.get("PublisherProgramId", Raw(b"null"))}, NewEvent)
    return values.get("publisher_program_id")
