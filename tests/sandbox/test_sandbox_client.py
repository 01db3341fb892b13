"""The ways in which clients in use talk to iMIS, each made here anew: sign-in, search, upsert, paging."""

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
def test_a_form_that_was_never_encoded_works_for_passwords_without_its_signs(
    visitor: httpx.Client, password: str, status: int
) -> None:
    """A client that joins the form by hand signs in, and fails only where the password has a sign of the form."""
    visitor.put("/_sandbox/account", json={"Password": password})
    body = f"grant_type=password&username={seeds.USERNAME}&password={password}".encode()

    assert visitor.post("/Token", content=body, headers=FORM).status_code == status


def test_capital_form_keys_and_headers_of_their_own_do_no_harm(visitor: httpx.Client) -> None:
    """A client that writes the keys of the sign-in in capitals, and sends headers iMIS does not know, gets on."""
    form = {"Username": seeds.USERNAME, "Password": seeds.PASSWORD, "Grant_type": "password"}
    answer = visitor.post("/token", data=form, headers={"X-AUTH-ATTEMPT": "Y"})

    assert answer.status_code == 200
    assert int(answer.json()["expires_in"]) - 10 > 0


def test_a_denied_request_sent_again_with_a_new_token_works(imis: httpx.Client) -> None:
    """A client whose token was forgotten gets through by signing in once more."""
    imis.delete("/_sandbox/tokens")
    assert imis.post("/api/Activity", json=activity()).status_code == 401
    imis.headers["Authorization"] = f"Bearer {sign_in(imis)}"
    assert imis.post("/api/Activity", json=activity()).status_code == 201


@pytest.mark.parametrize("address", ["/api/Activity/", "/api//Activity", "/API/activity", "/api/Activity"])
def test_slashes_too_many_and_letter_case_do_no_harm(imis: httpx.Client, address: str) -> None:
    """An entity is found with a slash at its end or too many, and in any letter case."""
    assert imis.post(address, json=activity()).status_code == 201
    assert imis.get(address).json()["TotalCount"] == 1


def test_an_activity_of_bare_lower_case_properties_is_stored(imis: httpx.Client) -> None:
    """No entity name, no parent, no types inside, columns that are none, a record id of the client's own."""
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
def test_a_contact_is_looked_up_by_a_raw_e_mail(imis: httpx.Client, address: str) -> None:
    """An address that was not escaped in the query finds its contact."""
    assert items_of(imis.get(address)) == []
    imis.post("/api/Party", json={"PersonName": {"LastName": "Haddad"}, "Email": "noor@example.org"})
    assert [row["PartyId"] for row in items_of(imis.get(address))] == ["10054"]


def test_all_values_may_be_text(imis: httpx.Client) -> None:
    """A row whose numbers and dates are all sent as text is stored with the types of its columns."""
    row = completion(Units="1.5", CourseCompleted="2031-03-14T00:00:00", Ordinal="0")

    assert imis.post(PANEL, json=row).status_code == 201
    assert values_of(imis.get(f"{PANEL}/~10042|1").json())["Units"] == 1.5


def test_raw_numbers_booleans_and_nulls_are_taken(imis: httpx.Client) -> None:
    """Values that are not wrapped are taken, and an explicit null is no value."""
    made = imis.post("/api/Activity", json=activity(UNITS=2, RECURRING_REQUEST=True, NOTE=None))

    stored = values_of(made.json())
    assert (made.status_code, stored["UNITS"], stored["RECURRING_REQUEST"], stored["NOTE"]) == (201, 2, True, None)


def test_a_row_is_put_where_it_is_there_and_posted_where_it_is_not(imis: httpx.Client) -> None:
    """Get by identity as `EntityId`: 404, so post; then found, so copy the values over and put."""
    one = {"EntityId": "~10042|1"}
    assert imis.get(PANEL, params=one).status_code == 404
    assert imis.put(PANEL, params=one, json=completion()).status_code == 404
    assert imis.post(PANEL, json=completion()).status_code == 201

    whole = imis.get(PANEL, params=one).json()
    for item in whole["Properties"]["$values"]:
        if item["Name"] == "CourseCode":
            item["Value"] = "AID-101"
    assert imis.put(PANEL, params=one, json=whole).status_code == 200
    assert values_of(imis.get(PANEL, params=one).json())["CourseCode"] == "AID-101"
    assert imis.delete(PANEL, params=one).status_code == 200


def test_rows_found_by_a_value_are_deleted_by_the_elements_of_their_identity(imis: httpx.Client) -> None:
    """A client that searches, joins the elements of each identity and deletes leaves none of the rows."""
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
def test_pages_are_followed_by_next_offset_until_it_is_0(imis: httpx.Client, address: str, limit: int) -> None:
    """A client that goes by NextOffset sees each row once."""
    for _ in range(7):
        imis.post("/api/Activity", json=activity())
    seen, offset = 0, ""
    while True:
        answer = imis.get(f"{address}&limit={limit}{offset}").json()
        seen += len(answer["Items"]["$values"])
        assert answer["Count"] > 0
        if answer["NextOffset"] == 0:
            break
        offset = f"&offset={answer['NextOffset']}"

    assert seen == 7


def test_a_page_of_more_than_500_is_cut_to_500(imis: httpx.Client) -> None:
    """A limit beyond 500 is cut in silence, and the rest is on the next page."""
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
def test_operators_are_read_from_a_raw_query_string(imis: httpx.Client, query: str, found: int) -> None:
    """Operators and their values work without being escaped."""
    for units in (1, 2, 3):
        imis.post("/api/Activity", json=activity(UNITS=units))

    assert imis.get(f"/api/Activity?{query}").json()["TotalCount"] == found


def variants(entity: str) -> dict[str, dict[str, Any]]:
    """What five clients in use send beside the properties of a new row."""
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
def test_a_row_is_added_in_every_variant_in_use(imis: httpx.Client, variant: str) -> None:
    """Each way in which clients name the contact of a new row makes the same row."""
    made = imis.post(f"{PANEL}/", json=completion() | variants("TopClass_Learning")[variant])

    assert (made.status_code, key_of(made.json())) == (201, ["10042", "0"])
    assert key_of(imis.get(f"{PANEL}?ID=10042&limit=1").json()["Items"]["$values"][0]) == ["10042", "1"]
