"""Panel sources that tests make at a running sandbox, over HTTP alone, as an administrator would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

_CONTRACTS = "Asi.Soa.Core.DataContracts"

# Those of the source document, and one for the record key.
WITH_KEY = {
    "CourseCode": 80, "Course": 150, "CourseCompleted": "DateTime", "Units": "Decimal", "CreditType": 80, "CEUType": 80,
    "RecordKey": 40,
}  # fmt: skip
# The hub's basic fields, as docs/reference/presets.md lists them.
BASIC = {
    "RecordKey": 40, "EventId": 400, "SourceId": 400, "Participant": 400, "Category": 400, "EventType": 400,
    "EventStart": "DateTime", "EventEnd": "DateTime", "Title": 400, "Units": "Decimal",
}  # fmt: skip


def make_panel(address: str, name: str, columns: Mapping[str, int | str], *, object_type: str = "Multi") -> None:
    """
    Make a panel source at the sandbox at *address*, and tick the box that makes it available via the REST API.

    *columns* have a width, which makes them text, or a type.
    """
    with urlopen(f"{address}/token", b"grant_type=password&username=sandbox&password=sandbox") as answer:
        token = json.loads(answer.read())["access_token"]
    definition = {
        "$type": f"{_CONTRACTS}.BOEntityDefinitionData, Asi.Contracts",
        "ObjectTypeName": object_type,
        "EntityTypeName": name,
        "PrimaryParentEntityTypeName": "Party",
        "Properties": {
            "$type": f"{_CONTRACTS}.EntityPropertyDefinitionDataCollection, Asi.Contracts",
            "$values": [_property(column, kind) for column, kind in columns.items()],
        },
    }
    _call("POST", f"{address}/api/BOEntityDefinition", definition, Authorization=f"Bearer {token}")
    _call("PUT", f"{address}/_sandbox/panels/{name}", {"AvailableViaRest": True})


def _property(name: str, kind: int | str) -> dict[str, Any]:
    described = {"MaxLength": kind} if isinstance(kind, int) else {}
    type_name = "String" if isinstance(kind, int) else kind
    return {"$type": f"{_CONTRACTS}.PropertyType{type_name}Data, Asi.Contracts", "Name": name, **described}


def _call(method: str, url: str, body: Any, **headers: str) -> None:
    sent = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method=method)
    with urlopen(sent):
        pass
