"""Example events of the OpenAPI document."""

from __future__ import annotations

from typing import Any

from learning_hub.model.event import example_event_id
from learning_hub.services.events import no_such_event

EXAMPLE_BODY: dict[str, Any] = {
    "PublisherProgramId": "NURSES",
    "PublisherSystemId": "TopClass",
    "EventType": "AI_COMP_SUCCESS",
    "PublisherEventId": "AI:1234",
    "PublisherParticipantId": "robin.vale@example.org",
    "PublisherEventCategory": {"value": "Online", "label": "Online course"},
    "PublisherEventData": {
        "Activity Code": "FIRE-201",
        "Activity Title": "Fire safety refresher",
        "Completion Date": "2026-11-20T15:20:00Z",
        "Credits": 1.30,
        "Credit Type": "Continuing professional development",
        "Credit Type Code": "CPD",
    },
    "EventStartUtc": "2026-11-20T14:00:00Z",
    "EventEndUtc": "2026-11-20T15:20:00Z",
}
EXAMPLE_EVENT: dict[str, Any] = {
    "EventId": example_event_id(),
    "EventDateBucket": "NURSES-LB-20261122",
    "CreatedUtc": "2026-11-22T08:00:00.123456Z",
    "Revision": 1,
    "Supersedes": None,
    **EXAMPLE_BODY,
}
EXAMPLE_DETAIL: dict[str, Any] = EXAMPLE_EVENT | {"SupersededBy": None}
NO_SUCH_EVENT = no_such_event(example_event_id())
