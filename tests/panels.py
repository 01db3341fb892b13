"""Panel sources that tests make at a running sandbox, over HTTP alone, as an administrator would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plain_http import plain_client

_CONTRACTS = "Asi.Soa.Core.DataContracts"

Columns = Mapping[str, int | str | Mapping[str, Any]]

# Those of the source document, and one for the record key.
WITH_KEY: Columns = {
    "CourseCode": 80, "Course": 150, "CourseCompleted": "DateTime", "Units": "Decimal", "CreditType": 80, "CEUType": 80,
    "RecordKey": 40,
}  # fmt: skip
# The hub's basic fields, as docs/reference/presets.md lists them.
BASIC: Columns = {
    "RecordKey": 40, "EventId": 400, "SourceId": 400, "Participant": 400, "Category": 400, "EventType": 400,
    "EventStart": "DateTime", "EventEnd": "DateTime", "Title": 400, "Units": "Decimal",
}  # fmt: skip


def make_panel(address: str, name: str, columns: Columns, *, object_type: str = "Multi") -> None:
    """
    Make a panel source at the sandbox at *address*, and tick the box that makes it available via the REST API.

    *columns* have a width, which makes them text, or a type, or members of the definition with a `Type` among them.
    """
    make_panels(address, [name], columns, object_type=object_type)


def make_panels(address: str, names: Iterable[str], columns: Columns, *, object_type: str = "Multi") -> None:
    """The same for many sources alike."""
    form = {"grant_type": "password", "username": "sandbox", "password": "sandbox"}
    with plain_client(address) as client:
        token = client.post("/token", data=form).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        for name in names:
            definition = _definition(name, columns, object_type)
            client.post("/api/BOEntityDefinition", json=definition, headers=headers).raise_for_status()
            client.put(f"/_sandbox/panels/{name}", json={"AvailableViaRest": True}).raise_for_status()


def _definition(name: str, columns: Columns, object_type: str) -> dict[str, Any]:
    return {
        "$type": f"{_CONTRACTS}.BOEntityDefinitionData, Asi.Contracts",
        "ObjectTypeName": object_type,
        "EntityTypeName": name,
        "PrimaryParentEntityTypeName": "Party",
        "Properties": {
            "$type": f"{_CONTRACTS}.EntityPropertyDefinitionDataCollection, Asi.Contracts",
            "$values": [_property(column, kind) for column, kind in columns.items()],
        },
    }


def _property(name: str, kind: int | str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(kind, int):
        kind = {"Type": "String", "MaxLength": kind}
    elif isinstance(kind, str):
        kind = {"Type": kind}
    members = {member: value for member, value in kind.items() if member != "Type"}
    return {"$type": f"{_CONTRACTS}.PropertyType{kind['Type']}Data, Asi.Contracts", "Name": name, **members}
