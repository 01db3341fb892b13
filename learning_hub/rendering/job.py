"""What goes to be rendered, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from learning_hub.model.json_values import write_json

# Every field of the contract's section 3; those that an event does not have are null in a template.
EVENT_FIELDS = (
    "EventId", "EventDateBucket", "CreatedUtc", "Revision", "Supersedes", "WithdrawnUtc",
    "PublisherProgramId", "PublisherSystemId", "EventType", "PublisherEventId", "PublisherParticipantId",
    "PublisherEventCategory", "PublisherEventData", "EventStartUtc", "EventEndUtc",
)  # fmt: skip


class RenderJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event to be rendered for one subscription.

    *templates_json* is the subscription's whole `Templates`. *category* is the value of the event's category, None
    without one. *scope_json* comes from `write_scope`. *time_zone* is the subscriber's IANA zone for `imis_datetime`;
    None is UTC.
    """

    templates_json: str
    category: str | None
    scope_json: bytes
    time_zone: str | None = None


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """
    The payload an event became.

    *payload* holds JSON values as `model.json_values.read_json` gives them; *payload_json* is the same as text.
    *template_name* is the category value or `_default`.
    """

    payload: dict[str, Any]
    payload_json: bytes
    template_name: str


def write_scope(
    event: Mapping[str, Any],
    *,
    participant_id: str | None,
    subscription_id: str,
    subscription_name: str,
    program_id: str,
    program_name: str,
) -> bytes:
    """
    The scope of a template as JSON: `event`, `participant`, `subscription` and `program`.

    `data` and `category` are taken from the event when it is rendered.

    Args:
        event: The fields of the contract by their names; those left out are null. `PublisherEventData` is a
            `msgspec.Raw` of the publisher's text or what `read_json` made of it; times may be text or UTC datetimes.
        participant_id: The participant's id at the subscriber; None where it is not known.
        subscription_id: The subscription's id.
        subscription_name: Its name.
        program_id: The Program's id.
        program_name: Its name.
    """
    return write_json(
        {
            "event": {name: event.get(name) for name in EVENT_FIELDS} | dict(event),
            "participant": {"Id": participant_id},
            "subscription": {"Id": subscription_id, "Name": subscription_name},
            "program": {"Id": program_id, "Name": program_name},
        }
    )


def complete_scope(scope: dict[str, Any]) -> dict[str, Any]:
    """*scope* with `data` and `category`, and null for the event's absent fields and the category's label."""
    event = dict.fromkeys(EVENT_FIELDS) | scope.get("event", {})
    category = event["PublisherEventCategory"]
    if isinstance(category, dict):
        category = {"value": None, "label": None} | category
        event["PublisherEventCategory"] = category
    return (
        {"participant": {"Id": None}}
        | scope
        | {
            "event": event,
            "data": event["PublisherEventData"],
            "category": category,
        }
    )
