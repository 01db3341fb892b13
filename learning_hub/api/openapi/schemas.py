"""
The schemas of the OpenAPI document: the Structs of the operations, in the form that generators of clients read best.

msgspec makes them; here components get their names outside, lists of values and unions become components, `null` is a
type rather than an alternative, and every field gets a description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from learning_hub.api.openapi.descriptions import COMPONENTS, describe
from learning_hub.api.openapi.named_types import (
    ENUMS,
    FIELD_SCHEMAS,
    NAMES,
    OTHERS,
    REFERENCE,
    STRUCTS,
    UNIONS,
    reference,
)

_ENUM_NAMES = {frozenset(values): name for name, values in ENUMS.items()}
# Python's `$` also matches before a newline at the end, which other languages do not need to exclude.
_NO_NEWLINE = r"(?!\n)"
_NULL = {"type": "null"}


class Schemas:
    """The schemas of *types*, and the components that they refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        listed = [*types, *STRUCTS]
        schemas, components = msgspec.json.schema_components(listed, ref_template=REFERENCE)
        self._by_type: dict[Any, dict[str, Any]] = {
            declared: _plain(schema) for declared, schema in zip(listed, schemas, strict=True)
        }
        self._components: dict[str, dict[str, Any]] = {
            _name(inside): _component(_name(inside), made) for inside, made in components.items()
        }
        self._components |= {name: _listed(name, values) for name, values in ENUMS.items()}
        self._components |= {name: _union(name, field, structs) for name, (field, structs) in UNIONS.items()}
        self._components |= OTHERS

    def of(self, declared: Any) -> dict[str, Any]:
        """The schema of a type: a reference to its component, if it has one."""
        return self._by_type[declared]

    def fields(self, struct: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
        """The schemas of the fields of a Struct, by their names."""
        fields: dict[str, dict[str, Any]] = self._component_of(struct).get("properties", {})
        return fields

    def required(self, struct: type[msgspec.Struct]) -> list[str]:
        """The names of the fields that a Struct must have."""
        required: list[str] = self._component_of(struct).get("required", [])
        return required

    def reachable(self, document: Any, *, bodies: Any) -> dict[str, Any]:
        """
        The components that *document* refers to, by name and in its order.

        Objects that *bodies*, the bodies of requests, refer to take no other fields.
        """
        sent = {name for name in self._reached(bodies) if "properties" in self._components[name]}
        return {
            name: _as_sent(self._components[name]) if name in sent else self._components[name]
            for name in sorted(self._reached(document))
        }

    def _component_of(self, struct: type[msgspec.Struct]) -> dict[str, Any]:
        name = self.of(struct)["$ref"].rpartition("/")[2]
        return self._components[name]

    def _reached(self, schema: Any) -> set[str]:
        reached: set[str] = set()
        found = set(_references(schema))
        while found - reached:
            name = (found - reached).pop()
            reached.add(name)
            found.update(_references(self._components[name]))
        return reached


def portable(pattern: str) -> str:
    """A regular expression of Python's in the form that other languages read."""
    return pattern.replace(_NO_NEWLINE, "")


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which is absent rather than null."""
    options = [option for option in schema.get("anyOf", []) if option != _NULL]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if isinstance(rest.get("type"), list):
        (rest["type"],) = (kind for kind in rest["type"] if kind != "null")
    return {**options[0], **rest} if options else rest


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        target = schema.get("$ref", "")
        if isinstance(target, str) and target.startswith(REFERENCE.format(name="")):
            yield target.rpartition("/")[2]
        for child in schema.values():
            yield from _references(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _references(child)


def _name(inside: str) -> str:
    """The name of a component outside: that of its Struct, or what NAMES calls it; a page is named after its items."""
    page = re.fullmatch(r"Page_(\w+)_", inside)
    return f"{_name(page[1])}Page" if page else NAMES.get(inside, inside)


def _component(name: str, made: dict[str, Any]) -> dict[str, Any]:
    component: dict[str, Any] = _plain(made)
    if "description" in component:
        # The other paragraphs of a docstring are about the code; fields have descriptions of their own.
        component["description"] = " ".join(component["description"].partition("\n\n")[0].split())
    for field, schema in component.get("properties", {}).items():
        component["properties"][field] = _field(name, field, schema)
    return component


def _field(component: str, field: str, schema: dict[str, Any]) -> dict[str, Any]:
    declared = FIELD_SCHEMAS.get(f"{component}.{field}")
    if declared is not None:
        is_nullable = _NULL in schema.get("anyOf", ()) or "null" in schema.get("type", ())
        described = {key: value for key, value in schema.items() if key == "description"}
        schema = {**({"anyOf": [declared, _NULL]} if is_nullable and "$ref" in declared else declared), **described}
    if field.endswith("Utc"):
        schema = {**schema, "format": "date-time"}
    if "description" not in schema and (text := describe(component, field)):
        schema = {**schema, "description": text}
    return schema


def _plain(made: Any) -> Any:
    """What msgspec made, without what generators do not read or read wrongly."""
    if isinstance(made, list):
        return [_plain(item) for item in made]
    if not isinstance(made, dict):
        return made
    schema = {key: _plain(value) for key, value in made.items() if key not in {"title", "anyOf"}}
    if "properties" in made:
        # The names of fields are not keywords: a field may be called `title`.
        schema["properties"] = {name: _plain(field) for name, field in made["properties"].items()}
    if schema.get("default", ...) is None:
        del schema["default"]
    if "pattern" in schema:
        schema["pattern"] = portable(schema["pattern"])
    if "$ref" in schema:
        schema["$ref"] = REFERENCE.format(name=_name(schema["$ref"].rpartition("/")[2]))
    if "enum" in schema:
        schema = _enum(schema)
    if schema.get("type") == "object" and "properties" not in schema:
        # Some generators make unusable types otherwise.
        schema.setdefault("additionalProperties", True)
    return _alternatives(schema, _plain(made["anyOf"])) if "anyOf" in made else schema


def _enum(schema: dict[str, Any]) -> dict[str, Any]:
    """A list of values: the component of these values, or the values with their type."""
    values = [value for value in schema["enum"] if value is not None]
    name = _ENUM_NAMES.get(frozenset(values))
    rest = {key: value for key, value in schema.items() if key not in {"enum", "type"}}
    listed: dict[str, Any] = reference(name) if name else {"type": "string", "enum": values}
    return _alternatives(rest, [listed, _NULL]) if None in schema["enum"] else {**listed, **rest}


def _alternatives(schema: dict[str, Any], options: list[dict[str, Any]]) -> dict[str, Any]:
    """One of *options*; where one of two is null, the other one, which may be null."""
    described = [option.pop("description") for option in options if "description" in option]
    if described:
        schema = {"description": described[0], **schema}
    kept = [option for option in options if option != _NULL]
    if len(kept) == 1 and len(options) == 2 and isinstance(kept[0].get("type"), str):
        return {**kept[0], **schema, "type": [kept[0]["type"], "null"]}
    return {**schema, "anyOf": options}


def _as_sent(component: dict[str, Any]) -> dict[str, Any]:
    """
    An object in the body of a request: it takes no other fields.

    Defaults are told in the description, because some generators make a field that has one a field that must be given.
    """
    fields = {name: _without_default(field) for name, field in component["properties"].items()}
    return {**component, "properties": fields, "additionalProperties": False}


def _without_default(field: dict[str, Any]) -> dict[str, Any]:
    if "default" not in field:
        return field
    text = f"{field['description']} Left out: `{msgspec.json.encode(field['default']).decode()}`."
    return {key: value for key, value in field.items() if key != "default"} | {"description": text}


def _listed(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"description": COMPONENTS[name], "type": "string", "enum": list(values)}


def _union(name: str, field: str, structs: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    names = {struct.__name__: _value_of(field, struct) for struct in structs}
    return {
        "description": COMPONENTS[name],
        "oneOf": [reference(name) for name in names],
        "discriminator": {
            "propertyName": field,
            "mapping": {value: REFERENCE.format(name=name) for name, value in names.items()},
        },
    }


def _value_of(field: str, struct: type[msgspec.Struct]) -> str:
    """The only value that *field* has in *struct*."""
    _, components = msgspec.json.schema_components([struct])
    (value,) = components[struct.__name__]["properties"][field]["enum"]
    return str(value)
