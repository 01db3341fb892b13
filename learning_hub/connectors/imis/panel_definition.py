"""
The definition of a panel source: a new one with the fields of a blueprint, or an existing one extended by them.

What iMIS does with a definition is not confirmed: it may add the key columns or require them, and it silently ignores
what it cannot change. So the hub reads the definition back, and `lacking` returns what is missing.

Source: iMIS reference, section 9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from learning_hub.connectors.building import Blueprint
from learning_hub.connectors.imis.panel_names import GIVEN
from learning_hub.connectors.imis.wire import Json, member, unwrap, values_of
from learning_hub.model.panel import KEY_LENGTH, RECORD_KEY, FieldType, PanelField, as_added

_CORE = "Asi.Soa.Core.DataContracts"
_DEFINITION = f"{_CORE}.BOEntityDefinitionData, Asi.Contracts"
_PROPERTIES = f"{_CORE}.EntityPropertyDefinitionDataCollection, Asi.Contracts"
# Class, PropertyTypeName, and what else a new property of the type has.
_TYPES: dict[FieldType, tuple[str, str, Json]] = {
    "text": ("PropertyTypeStringData", "String", {}),
    "integer": ("PropertyTypeIntegerData", "Integer", {}),
    "decimal": ("PropertyTypeDecimalData", "Decimal", {"Precision": 18, "Scale": 4}),
    "date": ("PropertyTypeDateTimeData", "Date", {"DateTimeDataType": 0}),
    "boolean": ("PropertyTypeBooleanData", "Boolean", {}),
}


class Lack(msgspec.Struct, frozen=True):
    """What a source lacks: fields to *add*, and texts to *widen* to their length."""

    add: list[PanelField]
    widen: list[PanelField]

    def __bool__(self) -> bool:
        return bool(self.add or self.widen)

    @property
    def names(self) -> list[str]:
        """Of both."""
        return [field.name for field in (*self.add, *self.widen)]


def new_definition(blueprint: Blueprint, *, with_keys: bool) -> Json:
    """The definition of a new multi-instance source of contacts; *with_keys* adds the columns ID and Ordinal."""
    keys: list[Json] = [
        {
            **_property(PanelField(name="ID", length=10)),
            "IsIdentity": True,
            "IsPrimaryParentIdentity": True,
            "Required": True,
        },
        {**_property(PanelField(name="Ordinal", type="integer")), "IsIdentity": True, "Visible": False},
    ]
    own = [_property(as_added(field), is_read_only=blueprint.is_read_only) for field in blueprint.fields]
    return {
        "$type": _DEFINITION,
        "ObjectTypeName": "Multi",
        "EntityTypeName": blueprint.name,
        "Description": blueprint.description,
        "PrimaryParentEntityTypeName": "Party",
        "IsDesignable": True,
        "Properties": {"$type": _PROPERTIES, "$values": [*(keys if with_keys else []), *own]},
    }


def extended(definition: Json, blueprint: Blueprint) -> Json:
    """The whole *definition* with what it lacks; everything else is as it was read."""
    lack = lacking(definition, blueprint)
    widths = {field.name.casefold(): field.length for field in lack.widen}
    properties = []
    for one in _property_list(definition):
        folded = str(member(one, "Name")).casefold()
        if folded in widths:
            kept = {key: value for key, value in one.items() if key.casefold() != "maxlength"}
            properties.append(kept | {"MaxLength": widths[folded]})
        else:
            properties.append(one)
    properties += [_property(field, is_read_only=blueprint.is_read_only) for field in lack.add]
    kept = {key: value for key, value in definition.items() if key.casefold() != "properties"}
    return {**kept, "Properties": {"$type": _PROPERTIES, "$values": properties}}


def lacking(definition: Json, blueprint: Blueprint) -> Lack:
    """What *definition*, which does not clash, lacks of the blueprint; texts that are wide enough stay as they are."""
    fields = {field.name.casefold(): field for field in fields_of(definition)}
    known = set(_names(definition))
    add, widen = [], []
    for field in blueprint.fields:
        existing = fields.get(field.name.casefold())
        if field.name.casefold() not in known:
            add.append(as_added(field))
        elif existing and _is_narrower(existing, _needed_length(field)):
            widen.append(field)
    return Lack(add, widen)


def clashes(definition: Json, blueprint: Blueprint) -> list[str]:
    """Why *definition* can never be the blueprint's, as clauses: another kind of source, fields of another type."""
    kind, parent = member(definition, "ObjectTypeName"), member(definition, "PrimaryParentEntityTypeName")
    reasons = []
    if kind != "Multi":
        reasons.append(f"it is {_kind_description(kind)}, and cannot become one of several rows for a contact")
    if str(parent).casefold() not in ("party", "contact"):
        reasons.append(f"its rows belong to {parent or 'nobody'}, not to contacts")
    if reasons:
        return reasons
    fields = {field.name.casefold(): field for field in fields_of(definition)}
    names = {name.casefold(): name for name in _spelled(definition)}
    for field in blueprint.fields:
        folded = field.name.casefold()
        existing = fields.get(folded)
        if folded in names and (existing is None or existing.type != field.type):
            reasons.append(f"its field {names[folded]} is {_type_description(definition, folded)}, not {field.type}")
    return reasons


def fields_of(definition: Json) -> list[PanelField]:
    """The fields of the source that people defined, those whose type the hub knows."""
    fields = []
    for one in _property_list(definition):
        name, kind = str(member(one, "Name") or ""), _type_of(one)
        if name and kind and name.casefold() not in GIVEN:
            fields.append(PanelField(name=name, type=kind, length=_length_of(one) if kind == "text" else None))
    return fields


def name_of(definition: Json, blueprint: Blueprint) -> str:
    """The name of the source as iMIS spells it."""
    return str(member(definition, "EntityTypeName") or blueprint.name)


def not_read_only(definition: Json, names: Iterable[str]) -> list[str]:
    """Which of the fields *names* are not flagged as read only."""
    flagged = {
        str(member(one, "Name")).casefold()
        for one in _property_list(definition)
        if unwrap(member(one, "IsReadOnly")) is True
    }
    return [name for name in names if name.casefold() not in flagged]


def described(fields: Iterable[PanelField]) -> str:
    """`RecordKey (text, 40), Units (decimal)`, for a person."""
    return ", ".join(f"{one.name} ({one.type}{f', {one.length}' if one.length else ''})" for one in fields)


def _property(field: PanelField, *, is_read_only: bool = False) -> Json:
    class_name, type_name, more = _TYPES[field.type]
    made: Json = {
        "$type": f"{_CORE}.{class_name}, Asi.Contracts",
        "Name": field.name,
        "PropertyTypeName": type_name,
        **({"MaxLength": field.length} if field.length else {}),
        **more,
        "Visible": True,
    }
    return made | {"IsReadOnly": True} if is_read_only else made


def _property_list(definition: Json) -> list[Json]:
    return [one for one in values_of(member(definition, "Properties")) if isinstance(one, dict)]


def _spelled(definition: Json) -> list[str]:
    return [str(member(one, "Name") or "") for one in _property_list(definition)]


def _names(definition: Json) -> list[str]:
    return [name.casefold() for name in _spelled(definition)]


def _type_of(described_property: Json) -> FieldType | None:
    """By the class of the property, else by its type name (section 9.2)."""
    class_name, type_name = _class_of(described_property), str(member(described_property, "PropertyTypeName") or "")
    for kind, (its_class, its_name, _) in _TYPES.items():
        if class_name == its_class or (not class_name and type_name.casefold() == its_name.casefold()):
            return kind
    return None


def _class_of(described_property: Json) -> str:
    return str(member(described_property, "$type") or "").partition(",")[0].rpartition(".")[2]


def _length_of(described_property: Json) -> int | None:
    length: Any = unwrap(member(described_property, "MaxLength"))
    return length if isinstance(length, int) and length > 0 else None


def _needed_length(field: PanelField) -> int | None:
    """A column for the record key that was made by hand is good as soon as it holds the key."""
    return KEY_LENGTH if field == RECORD_KEY else field.length


def _is_narrower(existing: PanelField, length: int | None) -> bool:
    return length is not None and existing.length is not None and existing.length < length


def _kind_description(kind: Any) -> str:
    return {"Single": "single-instance", "Standard": "one of iMIS's own"}.get(str(kind), f"of the kind {kind}")


def _type_description(definition: Json, folded: str) -> str:
    one = next(one for one in _property_list(definition) if str(member(one, "Name")).casefold() == folded)
    return _type_of(one) or str(member(one, "PropertyTypeName") or _class_of(one) or "of an unknown type")
