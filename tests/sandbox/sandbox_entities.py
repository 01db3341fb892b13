"""Valid request bodies for the sandbox, and functions that read its responses."""

from typing import Any

import httpx

from learning_hub.sandbox import seeds

GENERIC = "Asi.Soa.Core.DataContracts.GenericEntityData, Asi.Contracts"
IDENTITY = "Asi.Soa.Core.DataContracts.IdentityData, Asi.Contracts"
DEFINITION = "Asi.Soa.Core.DataContracts.BOEntityDefinitionData, Asi.Contracts"


def identity(entity: str, *elements: str) -> dict[str, Any]:
    return {"$type": IDENTITY, "EntityTypeName": entity, "IdentityElements": {"$values": list(elements)}}


def entity(name: str, values: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A generic entity with *values* as its properties."""
    properties = [{"Name": key, "Value": value} for key, value in values.items()]
    return {"$type": GENERIC, "EntityTypeName": name, "Properties": {"$values": properties}, **members}


def activity(**values: Any) -> dict[str, Any]:
    return entity("Activity", {"PartyId": "10042", "ACTIVITY_TYPE": "TCLEARNING", **values})


def completion(**values: Any) -> dict[str, Any]:
    return entity("TopClass_Learning", {"ID": "10042", "CourseCode": "FIRE-201", **values})


def definition(name: str, kind: str = "Multi", *properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$type": DEFINITION,
        "ObjectTypeName": kind,
        "EntityTypeName": name,
        "PrimaryParentEntityTypeName": "Party",
        "Properties": {"$values": list(properties) or [text_property("Note", 20)]},
    }


def text_property(name: str, width: int) -> dict[str, Any]:
    kind = "Asi.Soa.Core.DataContracts.PropertyTypeStringData, Asi.Contracts"
    return {"$type": kind, "Name": name, "MaxLength": width, "Visible": True}


def values_of(sent: dict[str, Any]) -> dict[str, Any]:
    """The properties of a generic entity by name, unwrapped; a property without a Value is None."""
    found = {}
    for item in sent["Properties"]["$values"]:
        value = item.get("Value")
        found[item["Name"]] = value["$value"] if isinstance(value, dict) else value
    return found


def key_of(sent: dict[str, Any]) -> list[str]:
    return list(sent["Identity"]["IdentityElements"]["$values"])


def items_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return list(response.json()["Items"]["$values"])


def bad_fields(response: httpx.Response) -> list[str]:
    """The fields in a validation error."""
    assert response.status_code == 400, response.text
    return [item["FieldName"] for item in response.json()["Errors"]["$values"]]


def open_single_panel(imis: httpx.Client, name: str = "LH_Profile") -> None:
    """Make a single-instance source with a text column Note, and tick its REST box."""
    assert imis.post("/api/BOEntityDefinition", json=definition(name, "Single")).status_code == 201
    assert imis.put(f"/_sandbox/panels/{name}", json={"AvailableViaRest": True}).status_code == 200


def sign_in(client: httpx.Client) -> str:
    response = client.post("/token", data=password_grant())
    assert response.status_code == 200
    return str(response.json()["access_token"])


def password_grant(**changes: str) -> dict[str, str]:
    return {
        "grant_type": "password",
        "username": seeds.USERNAME,
        "password": seeds.PASSWORD,
    } | changes
