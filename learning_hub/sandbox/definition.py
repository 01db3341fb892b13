"""Definitions of panel sources on the wire: BOEntityDefinitionData and EntityDefinitionData (section 9)."""

import re
from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.column import Column, Kind
from learning_hub.sandbox.errors import Problem
from learning_hub.sandbox.panel import AUDIT

# For each kind of column its class and PropertyTypeName.
_TYPES: dict[Kind, tuple[str, str]] = {
    "text": ("PropertyTypeStringData", "String"),
    "integer": ("PropertyTypeIntegerData", "Integer"),
    "boolean": ("PropertyTypeBooleanData", "Boolean"),
    "date": ("PropertyTypeDateTimeData", "Date"),
    "decimal": ("PropertyTypeDecimalData", "Decimal"),
    "money": ("PropertyTypeMonetaryData", "Monetary"),
    "guid": ("PropertyTypeStringData", "String"),
    "binary": ("PropertyTypeBinaryData", "Binary"),
}
_DATE_ONLY = 1
# Members of a property definition that matter only to screens and tools.
_EXTRA = (
    *("PropertyId", "DefaultValue", "DisplayMask", "IsCollection", "Logged", "RenderingInformation", "IsReadOnly"),
    *("Rule", "AllowMultiSelect", "ExtendedPropertyInformation"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
# Reserved words of SQL that could be taken for a name.
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        add all alter and as asc between by case check column constraint create date default delete desc
        distinct drop else end exists file foreign from function group having in index insert into is join key
        left like not null on open or order plan primary procedure public references right rule select set
        table then to top transaction trigger union unique update user values view when where with
        """,
    )
)


def name_problem(name: Any, field: str) -> Problem | None:
    """The problem of a name that is not letters, digits and underscores, or is a reserved word; None if valid (8.1)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"{field} must start with a letter and have letters, digits and underscores only."
        return Problem(field, message, name)
    if name.casefold() in _RESERVED:
        return Problem(field, f"{field} must not be a reserved word of SQL.", name)
    return None


def property_definition(column: Column) -> Any:
    """A column as a property definition; members with default values are left out, except `Visible` (9.2)."""
    class_name, type_name = _TYPES[column.kind]
    definition: dict[str, Any] = {"$type": wire.core(class_name), "Name": column.name}
    optional = {
        "Description": column.description,
        "PropertyTypeName": type_name,
        "Caption": column.caption,
        "IsIdentity": column.is_identity,
        "IsPrimaryParentIdentity": column.is_party,
        "Required": column.is_required,
        "IsReadOnly": column.name in {audit.name for audit in AUDIT},
        "MaxLength": column.max_length if column.kind == "text" else None,
        "DateTimeDataType": _DATE_ONLY if column.is_date_only else None,
        "Precision": column.precision if column.kind == "decimal" else None,
        "Scale": column.scale if column.kind == "decimal" else None,
    }
    definition |= {name: value for name, value in optional.items() if value}
    definition["Visible"] = column.is_visible
    definition |= {name: value for name, value in column.extra if name not in definition}
    return definition


def entity_definition(
    name: str, columns: Sequence[Column], *, object_type: str | None = None, description: str = ""
) -> Any:
    """
    The definition of an entity.

    Args:
        name: Of the entity.
        columns: In the order of the definition.
        object_type: `Single`, `Multi` or `Standard` for a BOEntityDefinitionData; None for metadata.
        description: Left out when empty.
    """
    is_metadata = object_type is None
    definition: dict[str, Any] = {
        "$type": wire.core("EntityDefinitionData" if is_metadata else "BOEntityDefinitionData")
    }
    if description:
        definition["Description"] = description
    definition |= {
        "EntityTypeName": name,
        "PrimaryParentEntityTypeName": "Party",
        "Properties": wire.collection(
            wire.core("EntityPropertyDefinitionDataCollection"), map(property_definition, columns)
        ),
    }
    if not is_metadata:
        definition |= {"IsDesignable": object_type != "Standard", "ObjectTypeName": object_type}
    return definition


def read_columns(sent: Any) -> tuple[list[Column], list[Problem]]:
    """The columns in the `Properties` of a definition in a body, and their problems."""
    columns: list[Column] = []
    problems: list[Problem] = []
    for item in wire.values_of(sent):
        name = wire.member(item, "Name")
        kind = _kind(item)
        problem = name_problem(name, "Name")
        if problem is None and any(column.name.casefold() == name.casefold() for column in columns):
            problem = Problem("Name", f"Property {name} is there twice.", name)
        if problem is None and kind is None:
            problem = Problem(name, f"The type of property {name} is not known.", wire.member(item, "$type"))
        if problem is not None or kind is None:
            problems.extend([problem] if problem else [])
            continue
        columns.append(_column(item, name, kind))
    return columns, problems


def _kind(item: Any) -> Kind | None:
    """The kind of a property in a body, by its class or else by its type name."""
    class_name = str(wire.member(item, "$type") or "").partition(",")[0].rpartition(".")[2]
    type_name = str(wire.member(item, "PropertyTypeName") or "")
    for kind, names in _TYPES.items():
        if class_name == names[0] or (not class_name and type_name.casefold() == names[1].casefold()):
            return kind
    return None


def _column(item: Any, name: str, kind: Kind) -> Column:
    def positive_integer(member: str, default: int | None) -> int | None:
        value = wire.unwrap(wire.member(item, member))
        return value if isinstance(value, int) and value > 0 else default

    visible = wire.unwrap(wire.member(item, "Visible"))
    return Column(
        name=name,
        kind=kind,
        max_length=positive_integer("MaxLength", None) if kind == "text" else None,
        precision=min(positive_integer("Precision", 18) or 18, 38),
        scale=min(positive_integer("Scale", 4) or 4, 38),
        is_date_only=wire.unwrap(wire.member(item, "DateTimeDataType")) == _DATE_ONLY,
        is_required=wire.unwrap(wire.member(item, "Required")) is True,
        is_visible=visible is not False,
        caption=_text(item, "Caption"),
        description=_text(item, "Description"),
        extra=tuple((member, value) for member in _EXTRA if (value := wire.member(item, member)) not in (None, False)),
    )


def _text(item: Any, name: str) -> str | None:
    value = wire.unwrap(wire.member(item, name))
    return value if isinstance(value, str) else None
