"""Type names, collections, wrapped values, pages (sections 3 and 5.1)."""

import json
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import GENERIC, activity, completion, definition, entity, items_of, values_of

PAGE_MEMBERS = [
    *("$type", "Items", "Offset", "Limit", "Count", "TotalCount", "NextPageLink", "HasNext", "NextOffset"),
]


def objects_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in objects_in(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in objects_in(inner)]
    return []


def lists_outside_values(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            (isinstance(inner, list) and name != "$values") or lists_outside_values(inner)
            for name, inner in value.items()
        )
    return isinstance(value, list) and any(map(lists_outside_values, value))


@pytest.mark.parametrize(
    "path",
    [
        "/api/Activity",
        "/api/Activity/880123",
        "/api/TopClass_Learning",
        "/api/TopClass_Learning/~10042|1",
        "/api/Party",
        "/api/Person/10042",
        "/api/PartySummary?Email=robin.vale@example.org",
        "/api/LegacyActivityType",
        "/api/BOEntityDefinition",
        "/api/metadata/TopClass_Learning",
        "/api/metadata/Person",
        "/api/User",
        "/api/CsContactBasic",
        "/api/GenTable",
        "/api/PanelDefinition",
        "/api/AddressPurpose",
        "/api/Party/10042/changelog",
        "/api/IQA?QueryName=$/LearningHub/Activities",
        "/api/query?QueryName=$/LearningHub/Activities",
        "/api/TopClass_Learning/1/2",
    ],
)
def test_every_object_has_its_type_first(imis: httpx.Client, path: str) -> None:
    """Every object starts with its $type, and every collection is an object with $values."""
    imis.post("/api/Activity", json=activity(UNITS=1.5))
    imis.post("/api/TopClass_Learning", json=completion(Units=1.5))

    response = imis.get(path)

    if response.status_code == 200:
        found = objects_in(response.json())
        assert found
        assert all(next(iter(item)) == "$type" for item in found)
        assert not lists_outside_values(response.json())
    else:
        assert response.headers["content-type"].startswith("text/plain")


def test_members_of_a_generic_entity(imis: httpx.Client) -> None:
    """A generic entity has its members in the documented order, and no others."""
    stored = imis.post("/api/TopClass_Learning", json=completion()).json()

    assert list(stored) == [
        "$type",
        "EntityTypeName",
        "PrimaryParentEntityTypeName",
        "Identity",
        "PrimaryParentIdentity",
        "Properties",
    ]


def test_a_null_has_no_value(imis: httpx.Client) -> None:
    """A null property has no Value; an empty text has one."""
    stored = imis.post("/api/TopClass_Learning", json=completion(CreditType=None, CEUType="")).json()
    by_name = {item["Name"]: item for item in stored["Properties"]["$values"]}

    assert list(by_name["CreditType"]) == ["$type", "Name"]
    assert by_name["CEUType"]["Value"] == ""


def test_primitives_are_wrapped_on_output(imis: httpx.Client) -> None:
    """Numbers and booleans are wrapped with their type; text and dates are bare."""
    sent = activity(UNITS="1.30", RECURRING_REQUEST="true", GRACE_PERIOD="7", EFFECTIVE_DATE="2031-03-14 15:20:00.000")
    stored = imis.post("/api/Activity", json=sent)
    by_name = {item["Name"]: item.get("Value") for item in stored.json()["Properties"]["$values"]}

    assert by_name["RECURRING_REQUEST"] == {"$type": "System.Boolean", "$value": True}
    assert by_name["GRACE_PERIOD"] == {"$type": "System.Int32", "$value": 7}
    assert by_name["UNITS"]["$type"] == "System.Decimal"
    assert by_name["EFFECTIVE_DATE"] == "2031-03-14T15:20:00"
    assert '"$value":1.30}' in stored.text


@pytest.mark.parametrize(
    "sent",
    [1.5, "1.5", {"$type": "System.Decimal", "$value": 1.5}, {"$type": "System.Decimal", "$value": "1.5"}],
)
def test_raw_and_wrapped_values_are_accepted(imis: httpx.Client, sent: Any) -> None:
    """A decimal may be sent raw, as text, or wrapped."""
    stored = imis.post("/api/Activity", json=activity(UNITS=sent)).json()

    assert values_of(stored)["UNITS"] == 1.5


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("1.30", "1.30"), ("0.1", "0.1"), ("3", "3.0"), ("12345678901234.1234", "12345678901234.1234")],
)
def test_decimals_are_exact(imis: httpx.Client, sent: str, stored: str) -> None:
    """A decimal comes back with the same digits; a whole number gets one fraction digit."""
    body = b'{"$type":"%s","Properties":{"$values":[{"Name":"PartyId","Value":"10042"},{"Name":"ACTIVITY_TYPE",'
    body += b'"Value":"CALL"},{"Name":"UNITS","Value":%s}]}}'

    response = imis.post("/api/Activity", content=body % (GENERIC.encode(), sent.encode()))

    assert f'"$value":{stored}}}' in response.text


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2031-04-05T06:07:08", "2031-04-05T06:07:08"),
        ("2031-04-05 06:07:08.250", "2031-04-05T06:07:08.25"),
        ("2031-04-05", "2031-04-05T00:00:00"),
        ("2031-04-05T06:07:08Z", "2031-04-05T02:07:08"),
        ("2031-04-05T06:07:08+02:00", "2031-04-05T00:07:08"),
        ({"$type": "System.DateTime", "$value": "2031-04-05T06:07:08"}, "2031-04-05T06:07:08"),
        ("0001-01-01T00:00:00", None),
        ("", None),
    ],
)
def test_a_date_is_stored_in_local_time_without_offset(imis: httpx.Client, sent: Any, stored: str | None) -> None:
    """A date is stored in the server's local time, without an offset, with only the fraction digits that it needs."""
    response = imis.post("/api/Activity", json=activity(EFFECTIVE_DATE=sent)).json()

    assert values_of(response)["EFFECTIVE_DATE"] == stored


def test_output_format_by_switches(imis: httpx.Client, switch: Any) -> None:
    """Wrapping, forced fractions and encoded HTML follow the switches."""
    switch(WrapPrimitives=False, WrapDates=True, ForcedFraction=False, HtmlInText="descriptions")
    sent = activity(UNITS=3, EFFECTIVE_DATE="2031-04-05", DESCRIPTION="Fire & 'water'", SOURCE_CODE="A&B")
    stored = imis.post("/api/Activity", json=sent)
    by_name = {item["Name"]: item.get("Value") for item in stored.json()["Properties"]["$values"]}

    assert '"Name":"UNITS","Value":3}' in stored.text
    assert by_name["EFFECTIVE_DATE"] == {"$type": "System.DateTime", "$value": "2031-04-05T00:00:00"}
    assert by_name["DESCRIPTION"] == "Fire &amp; &#39;water&#39;"
    assert by_name["SOURCE_CODE"] == "A&B"


def test_a_search_without_matches_is_an_empty_page(imis: httpx.Client) -> None:
    """A search without matches is 200 and a page with all its members."""
    response = imis.get("/api/TopClass_Learning?ID=10042")

    assert list(response.json()) == PAGE_MEMBERS
    assert response.json() | {"$type": "", "Items": ""} == {
        "$type": "",
        "Items": "",
        "Offset": 0,
        "Limit": 100,
        "Count": 0,
        "TotalCount": 0,
        "NextPageLink": None,
        "HasNext": False,
        "NextOffset": 0,
    }


def test_type_of_a_page(imis: httpx.Client) -> None:
    """The types of a page and of its items contain the type of an item."""
    page = imis.get("/api/Activity").json()

    assert page["$type"] == f"Asi.Soa.Core.DataContracts.PagedResult`1[[{GENERIC}]], Asi.Contracts"
    assert page["Items"]["$type"] == f"System.Collections.Generic.List`1[[{GENERIC}]], mscorlib"


def test_next_offset_leads_through_all_rows_once(imis: httpx.Client) -> None:
    """NextOffset leads through all rows once and is 0 at the end."""
    for number in range(5):
        imis.post("/api/Activity", json=activity(UF_1=str(number)))
    seen: list[str] = []
    offset = pages = 0
    while offset or not seen:
        page = imis.get("/api/Activity", params={"LIMIT": 2, "Offset": offset}).json()
        seen += [values_of(item)["UF_1"] for item in page["Items"]["$values"]]
        assert page["HasNext"] == (page["NextOffset"] > 0)
        offset, pages = page["NextOffset"], pages + 1

    assert (seen, pages) == (list("01234"), 3)


@pytest.mark.parametrize(
    ("sent", "limit"), [("", 100), ("0", 100), ("abc", 100), ("-5", 100), ("7", 7), ("500", 500), ("501", 500)]
)
def test_the_default_limit_is_100_and_the_highest_500(imis: httpx.Client, sent: str, limit: int) -> None:
    """The default limit is 100, and a higher one than 500 counts as 500."""
    assert imis.get("/api/Activity", params={"limit": sent}).json()["Limit"] == limit


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"EntityTypeName":"Activity"}',
        b'{"$type":"Nobody.Knows, This"}',
        b'{"$type":"%s","EntityTypeName":"Party"}' % GENERIC.encode(),
        b'{"$type":"%s","Properties":5}' % GENERIC.encode(),
        b'{"$type":"%s","Properties":[{"Value":5}]}' % GENERIC.encode(),
    ],
)
def test_an_unreadable_body_is_400_with_a_sentence(imis: httpx.Client, body: bytes) -> None:
    """A malformed body, a missing or unknown $type, or the body of another entity is 400 with a sentence."""
    response = imis.post("/api/Activity", content=body)

    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert "Traceback" not in response.text


def test_byte_order_mark(imis: httpx.Client) -> None:
    """A byte order mark before the JSON is ignored, also in the request log."""
    body = b"\xef\xbb\xbf" + json.dumps(activity()).encode()

    assert imis.post("/api/Activity", content=body).status_code == 201
    assert imis.get("/_sandbox/requests").json()["Items"][-1]["Body"] == activity()


def test_type_by_switches(imis: httpx.Client, switch: Any) -> None:
    """By switch, a missing $type is accepted, and one that is not the first member is rejected."""
    without = {name: value for name, value in activity().items() if name != "$type"}
    late = without | {"$type": GENERIC}
    assert imis.post("/api/Activity", json=late).status_code == 201
    switch(LateType="refuse")
    assert imis.post("/api/Activity", json=late).status_code == 400
    switch(MissingType="accept")
    assert imis.post("/api/Activity", json=without).status_code == 201


def test_nested_values_are_invalid(imis: httpx.Client) -> None:
    """A list or an object in place of a value is a validation error."""
    body = entity("Activity", {"PartyId": {"a": [1]}, "ACTIVITY_TYPE": [], "UNITS": "1e999999999"})

    response = imis.post("/api/Activity", json=body)

    fields = [item["FieldName"] for item in response.json()["Errors"]["$values"]]
    assert sorted(fields) == ["ACTIVITY_TYPE", "PartyId", "UNITS"]


def test_definitions_are_paged(imis: httpx.Client) -> None:
    """The list of definitions is paged like any other."""
    imis.post("/api/BOEntityDefinition", json=definition("LH_One"))

    names = [item["EntityTypeName"] for item in items_of(imis.get("/api/BOEntityDefinition?limit=500"))]
    assert names == ["Activity", "TopClass_Learning", "LH_One"]
