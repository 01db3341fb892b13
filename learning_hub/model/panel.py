"""
A panel source at iMIS: the fields that the hub creates, and the basic mapping that fills them.

`BASIC` is the only list of the basic fields. Creating a panel and the preset for OpenWater both use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.errors import FieldError
from learning_hub.model.fields import collect
from learning_hub.model.json_values import check_json, read_json

FieldType = Literal["text", "integer", "decimal", "date", "boolean"]

USUAL_LENGTH = 400
LONGEST_TEXT = 4000
LONGEST_NAME = 60
MOST_FIELDS = 200
# The length of the record key, which the hub makes.
KEY_LENGTH = 36


class PanelField(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """
    A field of a panel source.

    *length* is in characters, for text only. By default it is 400 for a text field that is added, and unchanged for one
    that exists. In a field that was read from iMIS, None means that the length has no limit.
    """

    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    type: FieldType = "text"
    length: Annotated[int, Meta(ge=1, le=LONGEST_TEXT)] | None = None


class BasicField(msgspec.Struct, frozen=True):
    """A field that most panels need, and the Liquid *expression* for its value."""

    field: PanelField
    expression: str


# The field for the hub's own key of 36 characters: the `KeyProperty` of the target.
RECORD_KEY = PanelField(name="RecordKey", length=40)

BASIC = (
    BasicField(PanelField(name="EventId"), "event.EventId"),
    BasicField(PanelField(name="SourceId"), "event.PublisherEventId"),
    BasicField(PanelField(name="Participant"), "event.PublisherParticipantId"),
    BasicField(PanelField(name="Category"), "category.value | default: nil"),
    BasicField(PanelField(name="EventType"), "event.EventType"),
    BasicField(PanelField(name="EventStart", type="date"), "event.EventStartUtc"),
    BasicField(PanelField(name="EventEnd", type="date"), "event.EventEndUtc"),
    BasicField(
        PanelField(name="Title"),
        "data['Activity Title'] | default: data['Course Name'] | default: data['Application Title'] | default: nil"
        " | blank_to_null",
    ),
    BasicField(
        PanelField(name="Units", type="decimal"),
        "data['Credits'] | default: data['Granted Units'] | default: data['Units'] | default: nil | blank_to_null",
    ),
)
_EXPRESSIONS = {(one.field.name.casefold(), one.field.type): one.expression for one in BASIC}
_FILTERS = {"integer": "integer", "decimal": "decimal", "date": "imis_datetime", "boolean": "boolean"}


def basic_fields() -> tuple[PanelField, ...]:
    """The basic fields, without the record key."""
    return tuple(one.field for one in BASIC)


def is_basic(field: PanelField) -> bool:
    """Whether the field has the name and the type of a basic field."""
    return (field.name.casefold(), field.type) in _EXPRESSIONS


def is_key(field: PanelField) -> bool:
    """Whether *field* is the one for the record key."""
    return field.name.casefold() == RECORD_KEY.name.casefold()


def basic_template(fields: Iterable[PanelField]) -> dict[str, str]:
    """
    A template for *fields*: a basic field has its expression of `BASIC`, any other the value of its name in the data.

    A text is cut at the length of its field, and an absent or blank value is null.
    """
    return {field.name: f"{{{{ {_expression(field)} | {_last_filter(field)} }}}}" for field in fields}


def _expression(field: PanelField) -> str:
    of_data = f"data['{field.name}'] | default: nil | blank_to_null"
    if field.type == "boolean":
        # Without `allow_false`, `default` would replace false.
        of_data = f"data['{field.name}'] | default: nil, allow_false: true | blank_to_null"
    return _EXPRESSIONS.get((field.name.casefold(), field.type), of_data)


def _last_filter(field: PanelField) -> str:
    if field.type == "text":
        return f"text: {field.length}" if field.length else "text"
    return _FILTERS[field.type]


def as_added(field: PanelField) -> PanelField:
    """The field as it is added to a source: a text without a length gets the usual one."""
    if field.type == "text" and field.length is None:
        return msgspec.structs.replace(field, length=USUAL_LENGTH)
    return field


def read_fields(sent: bytes) -> tuple[dict[int, PanelField], list[FieldError]]:
    """
    The fields of a request by their index in its list, and the errors of the others.

    The result includes fields of which only the name could be read, so that names are always checked.

    Args:
        sent: JSON: `"basic"`, or a list of names and of objects with `Name`, `Type` and `Length`.
    """
    if sent.strip() == b'"basic"':
        return dict(enumerate(basic_fields())), []
    try:
        items = msgspec.json.decode(sent, type=list[Raw])
    except (msgspec.MsgspecError, RecursionError):
        items = []
    if not 1 <= len(items) <= MOST_FIELDS:
        return {}, [FieldError("Fields", f'must be "basic", or a list of 1 to {MOST_FIELDS} fields')]
    fields: dict[int, PanelField] = {}
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        field, faults = _read_field(item, f"Fields[{index}]")
        errors += faults
        if field is not None:
            fields[index] = field
    return fields, errors


def _read_field(raw: Raw, place: str) -> tuple[PanelField | None, list[FieldError]]:
    if faults := check_json(bytes(raw), place):
        return None, faults
    value: Any = read_json(bytes(raw))
    if isinstance(value, str):
        given: Mapping[str, Raw] = {"Name": raw}
    elif isinstance(value, dict):
        given = msgspec.json.decode(raw, type=dict[str, Raw])
    else:
        return None, [FieldError(place, "must be a name, or an object with Name, Type and Length")]
    values, errors = collect(given, PanelField, prefix=f"{place}.")
    if values.get("length") is not None and values.get("type", "text") != "text":
        errors.append(FieldError(f"{place}.Length", "must be left out: only text has a length"))
    return (PanelField(**values) if "name" in values else None), errors
