"""Things for tests to work with, right in every way unless told otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

from learning_hub.model.event import EVENT_FIELDS, Event, bucket
from learning_hub.model.ids import event_id
from learning_hub.model.received_event import ReceivedEvent, read_event

ACTIVITY_TEMPLATE = {
    "ActivityType": "TCLEARNING",
    "Source": "TopClass",
    "Description": "{{ data['Activity Title'] }}",
}


def an_event_body(**changes: Any) -> dict[str, Any]:
    """The body of POST /events; a change to None leaves the field out."""
    body: dict[str, Any] = {
        "PublisherProgramId": "NURSES",
        "PublisherSystemId": "TopClass",
        "EventType": "AI_COMP_SUCCESS",
        "PublisherEventId": "AI:1234",
        "PublisherParticipantId": "robin.vale@example.org",
        "PublisherEventCategory": {"value": "Online", "label": "Online course"},
        "PublisherEventData": {"Activity Code": "FIRE-201", "Activity Title": "Fire safety refresher"},
        "EventStartUtc": "2026-11-20T14:00:00Z",
        "EventEndUtc": "2026-11-20T15:20:00Z",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def a_valid_event(**changes: Any) -> ReceivedEvent:
    """An event as a publisher sends it; changes are named as in the API."""
    fields = {name: Raw(msgspec.json.encode(value)) for name, value in an_event_body(**changes).items()}
    return read_event(fields, max_data_bytes=256 * 1024)


def a_stored_event(**changes: Any) -> Event:
    """An event as the hub reads it back; changes are attributes of Event."""
    new = a_valid_event()
    created = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    event = Event(
        event_id=event_id("NURSES", UUID("0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61")),
        event_date_bucket=bucket("NURSES", created.date()),
        created_utc=created,
        revision=1,
        supersedes=None,
        **{field.attribute: getattr(new, field.attribute) for field in EVENT_FIELDS},
    )
    return msgspec.structs.replace(event, **changes)


def a_subscriber_body(**changes: Any) -> dict[str, Any]:
    """The body of PUT /subscribers/{SubscriberId}, of an iMIS that is not there; None leaves a field out."""
    body: dict[str, Any] = {
        "Name": "Association iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": "https://imis.example.org", "TimeZone": "America/New_York"},
        "Credentials": {"Username": "hub", "Password": "correct horse battery staple"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def a_subscription_body(**changes: Any) -> dict[str, Any]:
    """The body of PUT /subscriptions/{SubscriptionId}; a change to None leaves the field out."""
    body: dict[str, Any] = {
        "Name": "Completions to iMIS",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": {"Kind": "activity"},
        "Templates": {"_default": ACTIVITY_TEMPLATE},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}
