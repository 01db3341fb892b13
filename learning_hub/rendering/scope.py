"""The scope of a template: the names that it can use, and their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning_hub.model.event import EVENT_NAMES
from learning_hub.model.json_values import write_json

NAMES_IN_SCOPE = ("event", "data", "category", "participant", "subscription", "program")


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
    The scope as JSON: `event`, `participant`, `subscription` and `program`.

    `complete_scope` adds `data` and `category`, which are parts of the event.

    Args:
        event: The fields of the contract by their names; fields left out are null. `PublisherEventData` is a
            `msgspec.Raw` of the publisher's text, or the result of `read_json` for it; times may be text or UTC
            datetimes.
        participant_id: The participant's id at the subscriber; None if it is not known.
        subscription_id: The id of the subscription.
        subscription_name: The name of the subscription.
        program_id: The id of the Program.
        program_name: The name of the Program.
    """
    return write_json(
        {
            "event": {name: event.get(name) for name in EVENT_NAMES} | dict(event),
            "participant": {"Id": participant_id},
            "subscription": {"Id": subscription_id, "Name": subscription_name},
            "program": {"Id": program_id, "Name": program_name},
        }
    )


def complete_scope(scope: dict[str, Any]) -> dict[str, Any]:
    """*scope* with `data` and `category`, and null for the event's absent fields and the category's label."""
    event = dict.fromkeys(EVENT_NAMES) | scope.get("event", {})
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
