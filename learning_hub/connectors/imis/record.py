"""
A record as it should be at iMIS, of any entity, and a record as iMIS has it.

`activity.py` and `panel.py` lay an outbound record out as a `Record`; `record_writer.py` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.wire import Json, Value, identity_of, lookup, member, properties_of
from learning_hub.connectors.outcomes import Refused
from learning_hub.model.json_values import SpelledDecimal
from learning_hub.model.template import OMIT

# System.Decimal has 96 bits for its digits; more digits after the point than fit, iMIS rounds off.
_DECIMAL = 2**96


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    The record that iMIS should have.

    *values* are the mapped values by column, the record key among them where there is a *key_property*;
    *stored_values* are the same values after iMIS has rounded them to its columns. *key_setting* says where the key
    property is set, for sentences. *identity_columns* are the columns of the entity that make up a record's identity,
    *party_columns* those for the contact. *is_numbered_late* is true where the response to a POST does not contain the
    identity.
    """

    entity: str
    party_id: str
    values: dict[str, Value]
    stored_values: dict[str, Value]
    key_property: str | None
    key_setting: str
    key: str
    identity_columns: tuple[str, ...]
    party_columns: tuple[str, ...]
    is_numbered_late: bool


class ExistingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that iMIS has: its identity, and the entity as it was received."""

    record_id: str
    entity: Json

    @property
    def values(self) -> dict[str, Any]:
        """Its values by column."""
        return properties_of(self.entity)


def record_id_of(entity: Json, identity_columns: tuple[str, ...]) -> str | None:
    """
    The identity as one text: `880123`, or `~10042|3` where it has several parts (section 4).

    None where the entity does not contain it, or has an ordinal of 0, which is no ordinal (section 8.3).
    """
    elements = identity_of(entity)
    if not elements:
        values = properties_of(entity)
        elements = [str(value) for name in identity_columns if (value := lookup(values, name)) is not None]
    if not elements or (len(elements) > 1 and elements[-1] == "0"):
        return None
    return elements[0] if len(elements) == 1 else f"~{'|'.join(elements)}"


def party_of(existing: ExistingRecord, record: Record) -> str:
    """The contact that the record belongs to; where it names none, the contact that it should belong to."""
    values = existing.values
    for name in record.party_columns:
        if (value := lookup(values, name)) not in (None, ""):
            return str(value).strip()
    parent = member(existing.entity, "PrimaryParentIdentity")
    elements = identity_of({"Identity": parent})
    return elements[0] if elements else record.party_id


def plain_value(name: str, value: Any) -> Value:
    """
    A value that a column can hold.

    Raises:
        Failed: It is an object or an array, or a number beyond what a System.Decimal holds (about 7.9e28).
    """
    if isinstance(value, float):
        value = SpelledDecimal(repr(value))
    if isinstance(value, int | Decimal) and not is_within_range(value):
        raise template_error(
            f"{name} is a number beyond what iMIS holds (about 7.9e28). The filter text makes it text."
        )
    if value is None or isinstance(value, str | int | Decimal):
        return value
    kind = "an array" if isinstance(value, list) else "an object"
    raise template_error(f"{name} is {kind}, and iMIS takes only single values there.")


def is_within_range(number: int | Decimal) -> bool:
    """Whether a System.Decimal, and so iMIS, holds a number of that size (up to about 7.9e28)."""
    return -_DECIMAL < number < _DECIMAL


def template_error(message: str) -> Failed:
    """The template gave a value that the target cannot hold."""
    return Failed(Refused(code="template_error", message=message, failure_class="mapping"))


def is_single_value(leaf: Any) -> bool:
    """Whether a leaf of a template gives one value; `{"$omit": …}` may stand in a value's place."""
    return not isinstance(leaf, list | dict) or (isinstance(leaf, Mapping) and list(leaf) == [OMIT])
