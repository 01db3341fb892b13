"""The ids in the paths of operations: their form, and an example of each."""

from __future__ import annotations

import re

import msgspec

from learning_hub.model.event import example_event_id
from learning_hub.model.ids import (
    ANY_ID_PATTERN,
    DELIVERY_ID_PATTERN,
    EVENT_ID_PATTERN,
    NEW_ID_PATTERN,
    PROGRAM_ID_PATTERN,
    TARGET_NAME_PATTERN,
)


class IdForm(msgspec.Struct, frozen=True):
    """The form of an id in a path: its regular expression, its length in characters, and an example."""

    pattern: str
    min_length: int
    max_length: int
    example: str


ID_FORMS = {
    "DeliveryId": IdForm(DELIVERY_ID_PATTERN, 38, 62, "NURSES-0192d4a8-7b02-7c11-8d6f-5a1b2c3d4e5f"),
    "EventId": IdForm(EVENT_ID_PATTERN, 40, 64, example_event_id()),
    "KeyId": IdForm(NEW_ID_PATTERN, 26, 26, "01KAN3S8E0QW5V8GJ1T2Z9RX4M"),
    "Name": IdForm(TARGET_NAME_PATTERN, 1, 100, "TopClass_Learning"),
    "ProgramId": IdForm(PROGRAM_ID_PATTERN, 1, 25, "NURSES"),
    "PublisherParticipantId": IdForm(ANY_ID_PATTERN, 1, 200, "robin.vale@example.org"),
    "RunId": IdForm(NEW_ID_PATTERN, 26, 26, "01KAP0Z5J3W8Q4T6V9B2N7M1XC"),
    "SubscriberId": IdForm(PROGRAM_ID_PATTERN, 1, 25, "imis"),
    "SubscriptionId": IdForm(PROGRAM_ID_PATTERN, 1, 25, "completions"),
}


def ids_in(path: str) -> list[str]:
    """The names of the ids in the path of an operation."""
    return re.findall(r"{(\w+)}", path)


def example_path(path: str) -> str:
    """The path of an operation with an example for each id."""
    for name in ids_in(path):
        path = path.replace(f"{{{name}}}", ID_FORMS[name].example)
    return path
