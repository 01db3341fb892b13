"""Party, Person and PartySummary (section 10)."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import bad_fields, items_of

from learning_hub.sandbox import seeds

PERSON = "Asi.Soa.Membership.DataContracts.PersonData, Asi.Contracts"


def new_person(**members: Any) -> dict[str, Any]:
    return {
        "$type": PERSON,
        "PersonName": {"FirstName": "Noor", "LastName": "Haddad"},
        "Emails": {
            "$values": [
                {"Address": "home@example.org"},
                {"Address": "noor@example.org", "EmailType": "_Primary", "IsPrimary": True},
            ]
        },
        **members,
    }


def execute(*parameters: Any, operation: str = "FindByAlternateId") -> dict[str, Any]:
    return {
        "$type": "Asi.Soa.Core.DataContracts.GenericExecuteRequest, Asi.Contracts",
        "EntityTypeName": "Party",
        "OperationName": operation,
        "Parameters": {"$values": list(parameters)},
    }


def test_the_seeds_have_a_dozen_contacts_of_every_sort(imis: httpx.Client) -> None:
    """There are a dozen contacts; two active ones share an e-mail address, one is inactive, one is an organisation."""
    rows = items_of(imis.get("/api/PartySummary"))
    by_id = {row["PartyId"]: row for row in rows}

    assert len(rows) == 12
    assert all(row["Email"].casefold().endswith("@example.org") for row in rows)
    assert [row["PartyId"] for row in rows if row["Email"] == seeds.SHARED_EMAIL] == ["10048", "10049"]
    assert [row["PartyId"] for row in rows if row["Status"]["PartyStatusId"] != "A"] == ["10050"]
    assert by_id["10053"]["IsOrganization"]


def test_a_summary_row_has_its_members_in_order(imis: httpx.Client) -> None:
    """A summary row has its members in the documented order, without nulls."""
    (row,) = items_of(imis.get("/api/PartySummary?Email=eq:robin.vale@example.org&limit=2"))

    assert list(row) == [
        *("$type", "CityName", "CountryName", "Email", "IsOrganization"),
        *("PartyId", "Id", "UniformId", "Status", "Name", "Sort"),
    ]
    assert (row["PartyId"], row["Id"], row["Sort"]) == ("10042", "10042", "VALE, ROBIN")
    assert row["Status"]["Name"] == "Active"


@pytest.mark.parametrize("entity", ["Party", "Person", "PartySummary"])
@pytest.mark.parametrize(
    ("email", "ids"),
    [
        ("ROBIN.VALE@EXAMPLE.ORG", ["10042"]),
        ("priya.nair@example.org", ["10047"]),
        (seeds.SHARED_EMAIL, ["10048", "10049"]),
        (seeds.INACTIVE.email, ["10050"]),
        ("nobody@example.org", []),
    ],
)
def test_search_by_email(imis: httpx.Client, entity: str, email: str, ids: list[str]) -> None:
    """An e-mail address in any letter case finds none, one or several contacts, including inactive ones."""
    rows = items_of(imis.get(f"/api/{entity}", params={"email": f"eq:{email}"}))

    assert [row["PartyId"] for row in rows] == ids


@pytest.mark.parametrize(
    "query",
    [
        {"id": "10042"},
        {"PartyId": "eq:10042"},
        {"firstname": "Robin", "lastname": "Vale"},
        {"UniformId": seeds.ROBIN.uniform_id},
        {"UpdatedOn": "ge:2020-01-01T00:00:00", "Name": "startsWith:Rob"},
    ],
)
def test_search_by_other_fields(imis: httpx.Client, query: dict[str, str]) -> None:
    """Contacts are found by id, name, GUID, and time of the last update."""
    assert [row["PartyId"] for row in items_of(imis.get("/api/Party", params=query))] == ["10042"]


def test_a_person_has_names_addresses_and_alternate_ids(imis: httpx.Client) -> None:
    """A person has names, e-mail addresses and alternate ids; an organisation is not a Person."""
    robin = imis.get("/api/Person/10042").json()

    assert robin["$type"] == PERSON
    assert (robin["PersonName"]["FirstName"], robin["PersonName"]["FullName"]) == ("Robin", "Robin Vale")
    assert robin["Emails"]["$values"][0]["EmailType"] == "_Primary"
    assert robin["AlternateIds"]["$values"][0]["Id"] == "LMS-7781"
    assert imis.get("/api/Person/10053").status_code == 404
    assert imis.get("/api/Party/10053").json()["Name"] == "Harbour Street Clinic"


@pytest.mark.parametrize("entity", ["Person", "Party"])
def test_a_new_person_is_found_by_email(imis: httpx.Client, entity: str) -> None:
    """A new person gets an id, is active, and is found by the primary e-mail address."""
    response = imis.post(f"/api/{entity}", json=new_person())

    assert response.status_code == 201
    assert response.json()["Id"] == response.json()["PartyId"] == "10054"
    (row,) = items_of(imis.get("/api/PartySummary?Email=noor@example.org"))
    assert (row["PartyId"], row["Status"]["PartyStatusId"]) == ("10054", "A")


def test_new_person_with_an_id(imis: httpx.Client) -> None:
    """A free id is accepted, a used one is 409, and a person without a name is a validation error."""
    assert imis.post("/api/Person", json=new_person(Id="777")).json()["PartyId"] == "777"
    assert imis.post("/api/Person", json=new_person(PartyId="10042")).status_code == 409
    assert bad_fields(imis.post("/api/Person", json={"$type": PERSON, "Email": "x@example.org"})) == ["LastName"]


def test_an_update_of_a_person_leaves_the_rest(imis: httpx.Client) -> None:
    """A PUT changes e-mail address and status of a person and leaves the rest."""
    change = {"$type": PERSON, "Email": "new@example.org", "Status": {"PartyStatusId": "I"}}
    changed = imis.put("/api/Person/10042", json=change).json()

    assert changed["Status"]["Name"] == "Inactive"
    assert changed["Name"] == "Robin Vale"
    assert items_of(imis.get("/api/Party?Email=robin.vale@example.org")) == []
    assert len(items_of(imis.get("/api/Party?Email=new@example.org"))) == 1


def test_find_by_alternate_id(imis: httpx.Client) -> None:
    """A contact is found by an alternate id, wrapped or raw; an unknown id is 404."""
    wrapped = {"$type": "System.String", "$value": "LMS-7781"}
    response = imis.post("/api/Party/_execute", json=execute(wrapped)).json()

    assert response["Result"]["PartyId"] == "10042"
    assert imis.post("/api/Party/_execute", json=execute("LMS", "lms-7781")).status_code == 200
    assert imis.post("/api/Party/_execute", json=execute("LMS-1")).status_code == 404
    assert imis.post("/api/Party/_execute", json=execute(operation="Merge")).status_code == 501
    assert imis.post("/api/Party/_execute", json={}).status_code == 400


def test_bare_result_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, an operation answers with its bare result."""
    switch(BareExecuteResult=True)

    assert imis.post("/api/Party/_execute", json=execute("LMS-7781")).json()["PartyId"] == "10042"


PHONES = {"$values": [{"Number": "+44 113 496 0000", "PhoneType": "mobile"}]}
ADDRESSES = {
    "$values": [
        {"AddressPurpose": "Address", "Address": {"AddressLines": ["1 High Street"], "CityName": "Leeds"}},
    ]
}


def test_extra_members_of_a_person_are_stored(imis: httpx.Client) -> None:
    """Members that the sandbox does not use, such as phones and addresses, come back as sent, with their types."""
    sent = new_person(Phones=PHONES, Addresses=ADDRESSES, Gender="F")
    stored = imis.get(f"/api/Person/{imis.post('/api/Person', json=sent).json()['Id']}").json()

    assert stored["Gender"] == "F"
    assert stored["Phones"]["$type"] == "Asi.Soa.Membership.DataContracts.PhoneDataCollection, Asi.Contracts"
    assert stored["Phones"]["$values"][0] == {
        "$type": "Asi.Soa.Membership.DataContracts.PhoneData, Asi.Contracts",
        **PHONES["$values"][0],
    }
    assert stored["Addresses"]["$values"][0]["Address"]["AddressLines"]["$values"] == ["1 High Street"]
    assert [email["Address"] for email in stored["Emails"]["$values"]] == ["noor@example.org", "home@example.org"]


def test_a_person_read_and_written_back_is_the_same(imis: httpx.Client) -> None:
    """Writing back a person changes nothing; a changed e-mail address counts in either place."""
    made = imis.post("/api/Party", json=new_person(Phones=PHONES, Addresses=ADDRESSES)).json()
    whole = imis.get(f"/api/Party/{made['Id']}").json()

    same = imis.put(f"/api/Party/{made['Id']}", json=whole).json()
    assert same | {"UpdateInformation": ""} == whole | {"UpdateInformation": ""}

    flat = imis.put(f"/api/Party/{made['Id']}", json=whole | {"Email": "flat@example.org"}).json()
    assert (flat["Email"], flat["Emails"]["$values"][0]["Address"]) == ("flat@example.org", "flat@example.org")

    added = {"Address": "new@example.org", "EmailType": "_Primary", "IsPrimary": True}
    flat["Emails"]["$values"].append(added)
    assert imis.put(f"/api/Party/{made['Id']}", json=flat).json()["Email"] == "new@example.org"


@pytest.mark.parametrize("odd", [5, {"$values": 5}, [[[]]], {"$values": [None, {"a": {"b": [1]}}]}])
def test_malformed_details_of_a_person_are_accepted(imis: httpx.Client, odd: Any) -> None:
    """Malformed details of a person cause no server error."""
    made = imis.post("/api/Person", json=new_person(Phones=odd, PrimaryOrganization=odd, Salutations=odd))

    assert made.status_code == 201
    assert imis.get(f"/api/Party/{made.json()['Id']}").status_code == 200
