"""Complete request bodies, and parts of complete response bodies with type names; `same` compares members in order."""

import json
from typing import Any

import httpx

CORE = "Asi.Soa.Core.DataContracts"
MEMBERSHIP = "Asi.Soa.Membership.DataContracts"
STRINGS = "System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib"

# For a value that differs from run to run; another test checks it.
ANY = "(any)"

ACTIVITY = """{
  "$type": "Asi.Soa.Core.DataContracts.GenericEntityData, Asi.Contracts",
  "EntityTypeName": "Activity",
  "PrimaryParentEntityTypeName": "Party",
  "PrimaryParentIdentity": {
    "$type": "Asi.Soa.Core.DataContracts.IdentityData, Asi.Contracts",
    "EntityTypeName": "Party",
    "IdentityElements": {
      "$type": "System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib",
      "$values": ["10042"]
    }
  },
  "Properties": {
    "$type": "Asi.Soa.Core.DataContracts.GenericPropertyDataCollection, Asi.Contracts",
    "$values": [
      { "$type": "Asi.Soa.Core.DataContracts.GenericPropertyData, Asi.Contracts", "Name": "PartyId", "Value": "10042" },
      { "$type": "Asi.Soa.Core.DataContracts.GenericPropertyData, Asi.Contracts",
        "Name": "ACTIVITY_TYPE", "Value": "TCLEARNING" },
      { "$type": "Asi.Soa.Core.DataContracts.GenericPropertyData, Asi.Contracts",
        "Name": "EFFECTIVE_DATE", "Value": "2031-03-14T15:20:00" },
      { "$type": "Asi.Soa.Core.DataContracts.GenericPropertyData, Asi.Contracts", "Name": "UNITS",
        "Value": { "$type": "System.Decimal", "$value": 1.5 } },
      { "$type": "Asi.Soa.Core.DataContracts.GenericPropertyData, Asi.Contracts", "Name": "CATEGORY", "Value": "CPD" }
    ]
  }
}"""
SOURCE = """{
  "$type": "Asi.Soa.Core.DataContracts.BOEntityDefinitionData, Asi.Contracts",
  "ObjectTypeName": "Multi",
  "EntityTypeName": "ow_samples",
  "Description": "Sample Program submissions",
  "PrimaryParentEntityTypeName": "Party",
  "IsDesignable": true,
  "Properties": {
    "$type": "Asi.Soa.Core.DataContracts.EntityPropertyDefinitionDataCollection, Asi.Contracts",
    "$values": [
      { "$type": "Asi.Soa.Core.DataContracts.PropertyTypeStringData, Asi.Contracts",
        "Name": "ID", "MaxLength": 10, "IsIdentity": true, "IsPrimaryParentIdentity": true, "Required": true,
        "Visible": true },
      { "$type": "Asi.Soa.Core.DataContracts.PropertyTypeIntegerData, Asi.Contracts",
        "Name": "Ordinal", "IsIdentity": true, "Visible": false },
      { "$type": "Asi.Soa.Core.DataContracts.PropertyTypeStringData, Asi.Contracts",
        "Name": "ApplicationId", "Caption": "Application ID", "MaxLength": 40, "Visible": true },
      { "$type": "Asi.Soa.Core.DataContracts.PropertyTypeDateTimeData, Asi.Contracts",
        "Name": "SubmittedOn", "DateTimeDataType": 0, "Visible": true },
      { "$type": "Asi.Soa.Core.DataContracts.PropertyTypeDecimalData, Asi.Contracts",
        "Name": "Score", "Precision": 18, "Scale": 4, "Visible": true }
    ]
  }
}"""
EXECUTE = """{
  "$type": "Asi.Soa.Core.DataContracts.GenericExecuteRequest, Asi.Contracts",
  "EntityTypeName": "Party",
  "OperationName": "FindByAlternateId",
  "Parameters": {
    "$type": "System.Collections.ObjectModel.Collection`1[[System.Object, mscorlib]], mscorlib",
    "$values": [ { "$type": "System.String", "$value": "LMS-7781" } ]
  },
  "ParameterTypeNames": { "$type": "%s", "$values": ["System.String"] },
  "UseJson": false
}""".replace("%s", STRINGS)


def typed(name: str, **members: Any) -> dict[str, Any]:
    return {"$type": f"{CORE}.{name}, Asi.Contracts", **members}


def identity(entity: str, *elements: str) -> dict[str, Any]:
    collection = {"$type": STRINGS, "$values": list(elements)}
    return typed("IdentityData", EntityTypeName=entity, IdentityElements=collection)


def properties(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = [typed("GenericPropertyData", Name=name) | ({} if v is None else {"Value": v}) for name, v in pairs]
    return {"$type": f"{CORE}.GenericPropertyDataCollection, Asi.Contracts", "$values": items}


def wrapped(kind: str, value: Any) -> dict[str, Any]:
    return {"$type": f"System.{kind}", "$value": value}


def page(item_type: str | None, *items: Any) -> dict[str, Any]:
    kind = f"PagedResult`1[[{item_type}]]" if item_type else "PagedResult"
    list_type = item_type or "System.Object, mscorlib"
    return {
        "$type": f"{CORE}.{kind}, Asi.Contracts",
        "Items": {
            "$type": f"System.Collections.Generic.List`1[[{list_type}]], mscorlib",
            "$values": list(items),
        },
        "Offset": 0,
        "Limit": 100,
        "Count": len(items),
        "TotalCount": len(items),
        "NextPageLink": None,
        "HasNext": False,
        "NextOffset": 0,
    }


def same(response: httpx.Response, status: int, expected: Any) -> None:
    """Compare *response* with *expected*, all members in order; ANY stands for any value."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert json.dumps(_masked(response.json(), expected), indent=1) == json.dumps(expected, indent=1)


def _masked(actual: Any, expected: Any) -> Any:
    if expected == ANY:
        return ANY
    if isinstance(actual, dict) and isinstance(expected, dict):
        return {name: _masked(value, expected.get(name)) for name, value in actual.items()}
    if isinstance(actual, list) and isinstance(expected, list):
        pairs = zip(actual, [*expected, *[None] * len(actual)], strict=False)
        return [_masked(value, counterpart) for value, counterpart in pairs]
    return actual


def post(imis: httpx.Client, path: str, body: str) -> httpx.Response:
    return imis.post(path, content=body, headers={"Content-Type": "application/json"})
