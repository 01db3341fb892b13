"""Each open question of the reference is a switch, whose default is what the reference assumes."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import GENERIC, activity, bad_fields, completion, items_of, key_of, password_grant

from learning_hub.sandbox import seeds

# The open questions that the reference collects, in its order, with the switches for each and their defaults.
OPEN_QUESTIONS: dict[str, dict[str, Any]] = {
    "exact expires_in, .issued, .expires": {
        "TokenLifetimeSeconds": 1209599,
        "ExpiresInAsText": False,
        "TokenDates": True,
    },
    "token error wording, other OAuth codes": {
        "SignInErrorText": "The user name or password is incorrect.",
        "SignInErrors": "oauth",
    },
    "WWW-Authenticate on 401": {"WwwAuthenticate": True},
    "Activity: unknown type, unknown party": {
        "UnknownActivityType": "refuse",
        "UnknownParty": "refuse",
        "ValidationAnswer": "results",
    },
    "Activity: columns for Quantity/CEU and CEU/type": {"UnitsColumn": "UNITS", "CeuTypeColumn": "CATEGORY"},
    "panels: unknown property on input": {"UnknownPanelProperty": "ignore"},
    "panels: property omitted in PUT": {"OmittedInPut": "unchanged"},
    "panels: second single-instance row": {"SecondSingleRow": 409},
    "panels: source not REST-enabled": {"ClosedPanel": 404},
    "new source over REST: key columns, REST flag": {"DefinitionKeys": "add", "NewSourceAvailable": False},
    "PATCH": {"PatchStatus": 405},
    "filter on unknown property; PartyId/ID filter on Activity": {
        "UnknownFilter": "refuse",
        "ActivityPartyFilter": True,
    },
    "text comparison": {"TextComparison": "ignore-case"},
    "dates with an offset": {"OffsetDates": "convert"},
    "429 form": {"TooManyRequests": "text"},
    "wrong identity element count": {"WrongIdentity": 400},
    "refresh token reuse": {"RefreshTokenSingleUse": True, "RefreshTokenReturned": True},
}
REFRESH = {
    "grant_type": "refresh_token",
    "client_id": seeds.CLIENT_ID,
    "client_secret": seeds.CLIENT_SECRET,
    "refresh_token": seeds.REFRESH_TOKEN,
}


@pytest.mark.parametrize("question", OPEN_QUESTIONS)
def test_each_open_question_is_a_switch_with_the_assumed_default(visitor: httpx.Client, question: str) -> None:
    """Behaviour that the reference leaves unconfirmed has a switch, and its default is what the reference assumes."""
    switches = visitor.get("/_sandbox/switches").json()

    assert switches | OPEN_QUESTIONS[question] == switches


def test_sign_in_errors_by_switch(visitor: httpx.Client, switch: Any) -> None:
    """By switch, a failed sign-in has another code and another text."""
    switch(SignInErrorText="Wrong.", SignInErrors="invalid-grant")
    assert visitor.post("/token", data=password_grant(password="x")).json() == {
        "error": "invalid_grant",
        "error_description": "Wrong.",
    }
    assert visitor.post("/token", data={"grant_type": "magic"}).json() == {"error": "invalid_grant"}
    switch(SignInErrorText="")
    assert visitor.post("/token", data=password_grant(password="x")).json() == {"error": "invalid_grant"}


def test_refresh_token_in_the_response_by_switch(visitor: httpx.Client, switch: Any) -> None:
    """By switch, the response to a refresh token has no next refresh token."""
    switch(RefreshTokenReturned=False)

    assert "refresh_token" not in visitor.post("/token", data=REFRESH).json()


def test_unreadable_body_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, a body that is not JSON, or whose type is unknown, is a server error."""
    switch(UnreadableBody=500)
    for body in (b"nonsense", b"", b'{"$type":"Nobody.Knows, This"}'):
        response = imis.post("/api/Activity", content=body)
        assert (response.status_code, response.text[:17]) == (500, "An error occurred")
    assert imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).status_code == 400


def test_unknown_activity_type_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, an activity type that is not configured is accepted."""
    switch(UnknownActivityType="accept")

    assert imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).status_code == 201


def test_unknown_contact_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, a record of an unknown contact is accepted."""
    switch(UnknownParty="accept")

    assert imis.post("/api/Activity", json=activity(PartyId="99999")).status_code == 201
    assert imis.post("/api/TopClass_Learning", json=completion(ID="99999")).status_code == 201


def test_activity_changes_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, PUT and DELETE of activities are not implemented."""
    imis.post("/api/Activity", json=activity())
    switch(ActivityChanges="refuse")

    assert imis.put("/api/Activity/880123", json=activity()).status_code == 501
    assert imis.delete("/api/Activity/880123").status_code == 501
    assert imis.get("/api/Activity/880123").status_code == 200


def test_activity_type_list_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, a site does not serve its activity types."""
    switch(ActivityTypeList=501)

    assert imis.get("/api/LegacyActivityType").reason_phrase == "Service not implemented"


def test_credit_columns_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, the quantity and type of credits are in other columns."""
    imis.post("/api/Activity", json=activity(UNITS=1, QUANTITY=2, CATEGORY="CPD", OTHER_CODE="CE"))
    query = {"QueryName": seeds.ACTIVITIES_QUERY}
    (first,) = items_of(imis.get("/api/query", params=query))
    switch(UnitsColumn="QUANTITY", CeuTypeColumn="OTHER_CODE")
    (second,) = items_of(imis.get("/api/query", params=query))

    assert (first["Units"], first["Category"]) == (1, "CPD")
    assert (second["Units"], second["Category"]) == (2, "CE")


def test_validation_error_members_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, a validation error has a message only."""
    switch(ValidationMembers="message")
    (error,) = imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).json()["Errors"]["$values"]

    assert list(error) == ["$type", "Message"]


@pytest.mark.parametrize(
    ("form", "kind", "start"),
    [("text", "text/plain", "Too many"), ("http-error", "application/json", '{"$type":"System.Web'), ("empty", "", "")],
)
def test_body_of_a_429_by_switch(imis: httpx.Client, switch: Any, fault: Any, form: str, kind: str, start: str) -> None:
    """By switch, the body of a 429 is text, an HttpError, or empty."""
    switch(TooManyRequests=form)
    fault("429", RetryAfter=7)
    response = imis.get("/api/Party")

    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert response.headers.get("content-type", "").partition(";")[0] == kind
    assert response.text.startswith(start)
    assert bool(response.text) == bool(start)


@pytest.mark.parametrize("status", [405, 404, 501])
def test_patch_status_by_switch(imis: httpx.Client, switch: Any, status: int) -> None:
    """The switch sets the status for PATCH."""
    switch(PatchStatus=status)

    assert imis.patch("/api/Activity/880123", json=activity()).status_code == status


def test_ordinal_numbering_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, ordinals are counted over all contacts of a source."""
    switch(OrdinalNumbering="source")
    for party in ("10042", "10043"):
        imis.post("/api/TopClass_Learning", json=completion(ID=party))

    keys = [key_of(item) for item in items_of(imis.get("/api/TopClass_Learning"))]
    assert keys == [["10042", "1"], ["10043", "2"]]


def test_closed_query_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, a query that is not available to REST is 404."""
    switch(ClosedQuery=404)

    assert imis.get(f"/api/query?QueryName={seeds.CLOSED_QUERY}").status_code == 404


@pytest.mark.parametrize("order", [["PartyId", "ID"], ["ID", "PartyId"]])
def test_party_id_wins_over_its_alias(imis: httpx.Client, order: list[str]) -> None:
    """PartyId wins over ID in the same body; one public client sends its own record id as ID."""
    values = {"PartyId": "10042", "ID": "7781"}
    properties = [{"Name": name, "Value": values[name]} for name in order]
    properties.append({"Name": "ACTIVITY_TYPE", "Value": "CALL"})
    response = imis.post("/api/Activity", json={"$type": GENERIC, "properties": {"$values": properties}})

    assert response.json()["PrimaryParentIdentity"]["IdentityElements"]["$values"] == ["10042"]
    alone = {"$type": GENERIC, "Properties": [{"Name": "ID", "Value": "7781"}, properties[-1]]}
    assert bad_fields(imis.post("/api/Activity", json=alone)) == ["PartyId"]


def test_false_members_of_contacts_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, false members of a contact are left out."""
    switch(FalseInContacts=False)
    people = items_of(imis.get("/api/PartySummary"))

    assert [row["PartyId"] for row in people if "IsOrganization" in row] == [seeds.CLINIC.party_id]


def test_the_documentation_lists_the_open_questions_with_their_switches() -> None:
    """The table in docs/reference/imis.md has each question with the names and defaults of its switches."""
    page = (Path(__file__).parents[2] / "docs/reference/imis.md").read_text(encoding="utf-8")
    rows = [
        f"| {question} | {', '.join(f'`{name}` {json.dumps(value)}' for name, value in switches.items())} |"
        for question, switches in OPEN_QUESTIONS.items()
    ]

    assert "\n".join(rows) in page
