"""The events of the measurements, and requests that publish them."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bench.programs import KEY

EVENT: dict[str, Any] = {
    "PublisherProgramId": "BENCH",
    "PublisherSystemId": "TopClass",
    "EventType": "AI_COMP_SUCCESS",
    "PublisherEventId": "",
    "PublisherParticipantId": "robin.vale@example.org",
    "PublisherEventCategory": {"value": "Online", "label": "Online course"},
    "PublisherEventData": {
        "Activity Code": "FIRE-201",
        "Activity Title": "Fire safety refresher",
        "Completion Date": "2026-11-20T15:20:00Z",
        "Credits": 1.5,
        "Credit Type Code": "CPD",
    },
    "EventStartUtc": "2026-11-20T14:00:00Z",
}
EVENT_START = datetime(2026, 11, 20, 14, tzinfo=UTC)


def bodies() -> Iterator[bytes]:
    """Endless events, each different."""
    run = uuid.uuid4().hex
    for number in itertools.count():
        yield json.dumps(EVENT | {"PublisherEventId": f"{run}:{number}"}).encode()


def publications(count: int) -> list[bytes]:
    """*count* requests that publish an event each, prepared before the measurement."""
    return [a_post("/events", body) for body in itertools.islice(bodies(), count)]


def a_post(path: str, body: bytes, *, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def a_get(path: str, *, key: str = KEY) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n\r\n".encode()
