"""The metadata of contacts, which have nested members, unlike panel sources (section 9.2)."""

from collections.abc import Iterable, Mapping
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import NAME_PARTS

_PARTY = ("PartyId", "Id", "UniformId", "Name", "Sort")
_FLAT = ("CityName", "CountryName", "CountrySubEntityName", "Email", "Phone")
# Collections of a person, with the members of their items.
_COLLECTIONS = {
    "Emails": ("Address", "EmailType"),
    "Phones": ("Number", "PhoneType"),
    "AlternateIds": ("Id", "IdType"),
}
_PROPERTY_LIST = "EntityPropertyDefinitionDataCollection"


def contact_definition(entity: str) -> Any:
    """`EntityDefinitionData` of `Party`, `Person` or `PartySummary`."""
    properties = [*map(_text, _FLAT), _simple("IsOrganization", "Boolean", "Boolean")]
    if entity != "PartySummary":
        properties.append(_nested("PersonName", (*NAME_PARTS, "FullName")))
        properties.append(_simple("BirthDate", "DateTime", "Date"))
        properties.extend(map(_text, ("Gender", "FunctionalTitle", "WebsiteUrl")))
        properties.extend(_many(name, members) for name, members in _COLLECTIONS.items())
        properties.append(_attributes())
    properties.append(_nested("Status", ("PartyStatusId", "Name", "Description")))
    return _definition(entity, [*properties, *map(_text, _PARTY)])


def _definition(entity: str, properties: Iterable[Any]) -> Any:
    return {
        "$type": wire.core("EntityDefinitionData"),
        "EntityTypeName": entity,
        "Properties": wire.collection(wire.core(_PROPERTY_LIST), properties),
    }


def _simple(name: str, kind: str, type_name: str, more: Mapping[str, Any] | None = None) -> Any:
    return {
        "$type": wire.core(f"PropertyType{kind}Data"),
        "Name": name,
        "PropertyTypeName": type_name,
        "Visible": True,
        **(more or {}),
    }


def _text(name: str) -> Any:
    return _simple(name, "String", "String")


def _nested(name: str, members: Iterable[str]) -> Any:
    inner = {"EntityDefinition": _definition(name, map(_text, members))}
    return _simple(name, "EntityDefinition", "EntityDefinitionData", inner)


def _many(name: str, members: Iterable[str]) -> Any:
    item = {"IsCollection": True, "ItemEntityPropertyDefinition": _nested(name.removesuffix("s"), members)}
    return _simple(name, "EntityDefinition", "EntityDefinitionData", item)


def _attributes() -> Any:
    # The reference lacks the class of this member; its name here follows the pattern of the others.
    kind = "GenericPropertyDataCollection"
    inner = {"GenericPropertyDefinitions": wire.collection(wire.core(_PROPERTY_LIST), [])}
    return _simple("AdditionalAttributes", kind, kind, inner)
