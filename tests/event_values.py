"""An event that has every field, and another value for each of them, made from the example of the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from msgspec import Raw

from learning_hub.api.event_examples import EXAMPLE_BODY
from learning_hub.model.event import EventField, NewEvent
from learning_hub.model.fields import bare, read_object
from learning_hub.model.received_event import ReceivedEvent, read_event

RECIPE = "see “… an optional event field” in CONTRIBUTING.md"
KINDS = {field.name: bare(field.type) for field in msgspec.structs.fields(NewEvent)}
OPTIONAL = {field.encode_name for field in msgspec.structs.fields(NewEvent) if not field.required}

_ANOTHER: dict[Any, Callable[[Any], Any]] = {
    str: lambda value: f"{value[:-1]}~",
    int: lambda value: value + 1,
    bool: lambda value: not value,
    datetime: lambda value: (datetime.fromisoformat(value) + timedelta(microseconds=1)).isoformat(),
}


def with_every_field(**changes: Any) -> dict[str, Any]:
    """The body of an event that has every field; changes are named as in the API."""
    return EXAMPLE_BODY | changes


def with_needed_fields(**changes: Any) -> dict[str, Any]:
    """The body of an event without its optional fields."""
    return {name: value for name, value in with_every_field(**changes).items() if name not in OPTIONAL}


def another_value(field: EventField) -> Any:
    """A valid value of *field*, other than that of the example."""
    kind, value = KINDS[field.attribute], EXAMPLE_BODY[field.name]
    if get_origin(kind) is Literal:
        return next(other for other in get_args(kind) if other != value)
    if kind is Raw:
        return {**value, "Another": 1}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {**value, next(iter(value)): "another"}
    if kind in _ANOTHER:
        return _ANOTHER[kind](value)
    pytest.fail(f"No test knows another value of {field.name}, a {kind}: add one in tests/event_values.py.")


def received(body: dict[str, Any]) -> ReceivedEvent:
    """The event of a body, read as the hub reads what is not the common case."""
    return read_event(read_object(msgspec.json.encode(body)), max_data_bytes=256 * 1024)
