"""The request patterns of public iMIS clients, written anew: sign-in, search, upsert, paging."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import GENERIC, activity, completion, identity, items_of, key_of, sign_in, values_of

from learning_hub.sandbox import seeds

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PANEL = "/api/TopClass_Learning"


@pytest.mark.parametrize(
    ("password", "status"),
    [("s3cr3t", 200), ("s3 cr3t!@$(/)=?ü", 200), ("a&b", 400), ("a+b", 400), ("a%41", 400)],
)
def test_an_unencoded_form_works_for_passwords_without_special_characters(
    visitor: httpx.Client, password: str, status: int
) -> None:
    """A client that does not encode the form can sign in, unless the password has a special character."""
    visitor.put("/_sandbox/account", json={"Password": password})
    body = f"grant_type=password&username={seeds.USERNAME}&password={password}".encode()

    assert visitor.post("/Token", content=body, headers=FORM).status_code == status


def test_capitalised_form_keys_and_unknown_headers_are_accepted(visitor: httpx.Client) -> None:
    """A client can sign in with capitalised form keys and with headers that iMIS does not know."""
    form = {"Username": seeds.USERNAME, "Password": seeds.PASSWORD, "Grant_type": "password"}
    response = visitor.post("/token", data=form, headers={"X-AUTH-ATTEMPT": "Y"})

    assert response.status_code == 200
    assert int(response.json()["expires_in"]) - 10 > 0


def test_a_denied_request_succeeds_with_a_new_token(imis: httpx.Client) -> None:
    """A client whose token was revoked succeeds after it signs in again."""
    imis.delete("/_sandbox/tokens")
    assert imis.post("/api/Activity", json=activity()).status_code == 401
    imis.headers["Authorization"] = f"Bearer {sign_in(imis)}"
    assert imis.post("/api/Activity", json=activity()).status_code == 201


@pytest.mark.parametrize("address", ["/api/Activity/", "/api//Activity", "/API/activity", "/api/Activity"])
def test_extra_slashes_and_letter_case_are_ignored(imis: httpx.Client, address: str) -> None:
    """An address may have a trailing slash, double slashes, and any letter case."""
    assert imis.post(address, json=activity()).status_code == 201
    assert imis.get(address).json()["TotalCount"] == 1


def test_a_minimal_activity_is_stored(imis: httpx.Client) -> None:
    """An activity may lack entity name, parent and property types, and have unknown columns and a foreign record id."""
    sent = {
        "PartyId": "10042",
        "TRANSACTION_DATE": "2031-03-14T10:00:00",
        "ID": "7781",
        "ACTIVITY_TYPE": "CALL",
        "TITLE": "none",
        "DURATION": "none",
        "CAMPAIGN_CODE": "ACQ",
        "STATUS_CODE": "2",
    }
    values = [{"Name": name, "Value": value} for name, value in sent.items()]
    made = imis.post("/api/Activity", json={"$type": GENERIC, "properties": {"$values": values}})

    assert (made.status_code, key_of(made.json())) == (201, [str(seeds.FIRST_SEQN)])
    stored = values_of(made.json())
    assert (stored["PartyId"], stored["STATUS_CODE"]) == ("10042", "2")
    assert stored["TRANSACTION_DATE"] == "2031-03-14T10:00:00"


@pytest.mark.parametrize(
    "address",
    ["/api/Party?email=noor@example.org", "/api//Party?email=noor@example.org", "/api/Person?Email=noor@example.org"],
)
def test_a_contact_is_found_by_an_unescaped_e_mail_address(imis: httpx.Client, address: str) -> None:
    """An e-mail address that is not escaped in the query string finds its contact."""
    assert items_of(imis.get(address)) == []
    imis.post("/api/Party", json={"PersonName": {"LastName": "Haddad"}, "Email": "noor@example.org"})
    assert [row["PartyId"] for row in items_of(imis.get(address))] == ["10054"]


def test_all_values_may_be_text(imis: httpx.Client) -> None:
    """A row whose numbers and dates are sent as text is stored with the types of its columns."""
    row = completion(Units="1.5", CourseCompleted="2031-03-14T00:00:00", Ordinal="0")

    assert imis.post(PANEL, json=row).status_code == 201
    assert values_of(imis.get(f"{PANEL}/~10042|1").json())["Units"] == 1.5


def test_raw_numbers_booleans_and_nulls_are_accepted(imis: httpx.Client) -> None:
    """Values may be sent unwrapped, and an explicit null is no value."""
    made = imis.post("/api/Activity", json=activity(UNITS=2, RECURRING_REQUEST=True, NOTE=None))

    stored = values_of(made.json())
    assert (made.status_code, stored["UNITS"], stored["RECURRING_REQUEST"], stored["NOTE"]) == (201, 2, True, None)


def test_upsert_by_entity_id(imis: httpx.Client) -> None:
    """A client gets a row by `EntityId` and posts it after a 404, or changes the values of the row and puts it."""
    params = {"EntityId": "~10042|1"}
    assert imis.get(PANEL, params=params).status_code == 404
    assert imis.put(PANEL, params=params, json=completion()).status_code == 404
    assert imis.post(PANEL, json=completion()).status_code == 201

    whole = imis.get(PANEL, params=params).json()
    for item in whole["Properties"]["$values"]:
        if item["Name"] == "CourseCode":
            item["Value"] = "AID-101"
    assert imis.put(PANEL, params=params, json=whole).status_code == 200
    assert values_of(imis.get(PANEL, params=params).json())["CourseCode"] == "AID-101"
    assert imis.delete(PANEL, params=params).status_code == 200


def test_found_rows_are_deleted_by_identity(imis: httpx.Client) -> None:
    """A client can search rows, join the elements of each identity, and delete the rows by it."""
    for code in ("A", "B", "A"):
        imis.post(PANEL, json=completion(CourseCode=code))

    found = [key_of(item) for item in items_of(imis.get(f"{PANEL}?CourseCode=A&ID=10042"))]
    for elements in found:
        assert imis.delete(f"{PANEL}/~{'|'.join(elements)}").status_code == 200

    assert [values_of(item)["CourseCode"] for item in items_of(imis.get(PANEL))] == ["B"]


@pytest.mark.parametrize(
    ("address", "limit"),
    [
        (f"/api/query?queryname={seeds.ACTIVITIES_QUERY}", 3),
        (f"/api/iqa?queryname={seeds.ACTIVITIES_QUERY}", 3),
        ("/api/Activity?", 3),
        ("/api/activity?", 100),
    ],
)
def test_next_offset_leads_through_all_pages(imis: httpx.Client, address: str, limit: int) -> None:
    """A client that follows NextOffset until it is 0 gets each row once."""
    for _ in range(7):
        imis.post("/api/Activity", json=activity())
    seen, offset = 0, ""
    while True:
        response = imis.get(f"{address}&limit={limit}{offset}").json()
        seen += len(response["Items"]["$values"])
        assert response["Count"] > 0
        if response["NextOffset"] == 0:
            break
        offset = f"&offset={response['NextOffset']}"

    assert seen == 7


def test_a_page_has_at_most_500_rows(imis: httpx.Client) -> None:
    """A limit above 500 counts as 500 without an error, and the rest is on the next page."""
    for number in range(501):
        imis.post("/api/LegacyActivityType", json={"ActivityTypeId": f"T{number}"})
    first = imis.get("/api/LegacyActivityType?limit=1000").json()

    assert (first["Count"], first["TotalCount"], first["NextOffset"]) == (500, 504, 500)
    assert imis.get("/api/LegacyActivityType?limit=1000&offset=500").json()["NextOffset"] == 0
    assert imis.get("/api/LegacyActivityType").json()["Count"] == 100


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("UNITS=>=:2", 2),
        ("UNITS=>:2", 1),
        ("UNITS=<:2", 1),
        ("UNITS=<=:2", 0),
        ("UNITS=le:2", 2),
        ("UNITS===:2", 1),
        ("UNITS=!=:2", 2),
        ("UNITS=!in:1|2", 1),
        ("UNITS=in%3A1%7C2", 2),
    ],
)
def test_operators_in_a_raw_query_string(imis: httpx.Client, query: str, found: int) -> None:
    """Operators and their values need no escaping."""
    for units in (1, 2, 3):
        imis.post("/api/Activity", json=activity(UNITS=units))

    assert imis.get(f"/api/Activity?{query}").json()["TotalCount"] == found


def variants(entity: str) -> dict[str, dict[str, Any]]:
    """The members that five public clients send beside the properties of a new row."""
    parent = {"PrimaryParentEntityTypeName": "Party", "PrimaryParentIdentity": identity("Party", "10042")}
    return {
        "A": parent,
        "B": {"PrimaryParentEntityTypeName": "Party"},
        "C": {"Identity": identity(entity, "10042"), **parent},
        "D": {"Identity": {"EntityTypeName": entity}, **parent},
        "D, elements empty": {"Identity": identity(entity), **parent},
        "parent without elements": {**parent, "PrimaryParentIdentity": {"EntityTypeName": "Party"}},
        "null identity": {"Identity": None, "PrimaryParentIdentity": None},
    }


@pytest.mark.parametrize("variant", variants(""))
def test_every_variant_adds_the_same_row(imis: httpx.Client, variant: str) -> None:
    """Every way in which clients name the contact of a new row adds the same row."""
    made = imis.post(f"{PANEL}/", json=completion() | variants("TopClass_Learning")[variant])

    assert (made.status_code, key_of(made.json())) == (201, ["10042", "0"])
    assert key_of(imis.get(f"{PANEL}?ID=10042&limit=1").json()["Items"]["$values"][0]) == ["10042", "1"]
