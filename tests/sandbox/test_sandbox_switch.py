"""What the reference leaves open: each open question is a switch, with what the reference assumes as its default."""

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
def test_each_open_question_is_a_switch_that_starts_at_what_is_assumed(visitor: httpx.Client, question: str) -> None:
    """What the reference leaves unconfirmed can be changed, and is as assumed until it is."""
    switches = visitor.get("/_sandbox/switches").json()

    assert switches | OPEN_QUESTIONS[question] == switches


def test_the_wording_of_a_refused_sign_in_is_a_switch(visitor: httpx.Client, switch: Any) -> None:
    """Another code and other words come with a refused sign-in where a switch says so."""
    switch(SignInErrorText="Wrong.", SignInErrors="invalid-grant")
    assert visitor.post("/token", data=password_grant(password="x")).json() == {
        "error": "invalid_grant",
        "error_description": "Wrong.",
    }
    assert visitor.post("/token", data={"grant_type": "magic"}).json() == {"error": "invalid_grant"}
    switch(SignInErrorText="")
    assert visitor.post("/token", data=password_grant(password="x")).json() == {"error": "invalid_grant"}


def test_whether_the_next_refresh_token_is_told_is_a_switch(visitor: httpx.Client, switch: Any) -> None:
    """An exchange may answer without the next refresh token."""
    switch(RefreshTokenReturned=False)

    assert "refresh_token" not in visitor.post("/token", data=REFRESH).json()


def test_a_body_that_cannot_be_read_may_be_500(imis: httpx.Client, switch: Any) -> None:
    """What is no JSON may be answered as a failure of the server."""
    switch(UnreadableBody=500)
    for body in (b"nonsense", b"", b'{"$type":"Nobody.Knows, This"}'):
        answer = imis.post("/api/Activity", content=body)
        assert (answer.status_code, answer.text[:17]) == (500, "An error occurred")
    assert imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).status_code == 400


def test_an_unknown_activity_type_may_be_stored(imis: httpx.Client, switch: Any) -> None:
    """A type that is not configured may be taken."""
    switch(UnknownActivityType="accept")

    assert imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).status_code == 201


def test_a_record_for_an_unknown_contact_may_be_stored(imis: httpx.Client, switch: Any) -> None:
    """A record of nobody may be taken."""
    switch(UnknownParty="accept")

    assert imis.post("/api/Activity", json=activity(PartyId="99999")).status_code == 201
    assert imis.post("/api/TopClass_Learning", json=completion(ID="99999")).status_code == 201


def test_activities_may_be_unchangeable(imis: httpx.Client, switch: Any) -> None:
    """PUT and DELETE of activities may not be implemented."""
    imis.post("/api/Activity", json=activity())
    switch(ActivityChanges="refuse")

    assert imis.put("/api/Activity/880123", json=activity()).status_code == 501
    assert imis.delete("/api/Activity/880123").status_code == 501
    assert imis.get("/api/Activity/880123").status_code == 200


def test_the_list_of_activity_types_may_be_missing(imis: httpx.Client, switch: Any) -> None:
    """A site may not serve its activity types."""
    switch(ActivityTypeList=501)

    assert imis.get("/api/LegacyActivityType").reason_phrase == "Service not implemented"


def test_the_columns_behind_the_labels_of_credits_are_switches(imis: httpx.Client, switch: Any) -> None:
    """Quantity and type of credits may stand in other columns."""
    imis.post("/api/Activity", json=activity(UNITS=1, QUANTITY=2, CATEGORY="CPD", OTHER_CODE="CE"))
    query = {"QueryName": seeds.ACTIVITIES_QUERY}
    (first,) = items_of(imis.get("/api/query", params=query))
    switch(UnitsColumn="QUANTITY", CeuTypeColumn="OTHER_CODE")
    (second,) = items_of(imis.get("/api/query", params=query))

    assert (first["Units"], first["Category"]) == (1, "CPD")
    assert (second["Units"], second["Category"]) == (2, "CE")


def test_a_validation_error_may_have_a_message_alone(imis: httpx.Client, switch: Any) -> None:
    """Members of a validation error may be left out."""
    switch(ValidationMembers="message")
    (error,) = imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).json()["Errors"]["$values"]

    assert list(error) == ["$type", "Message"]


@pytest.mark.parametrize(
    ("form", "kind", "start"),
    [("text", "text/plain", "Too many"), ("http-error", "application/json", '{"$type":"System.Web'), ("empty", "", "")],
)
def test_the_body_of_a_429_is_a_switch(
    imis: httpx.Client, switch: Any, fault: Any, form: str, kind: str, start: str
) -> None:
    """Too many requests may be told as text or as an HttpError."""
    switch(TooManyRequests=form)
    fault("429", RetryAfter=7)
    answer = imis.get("/api/Party")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers.get("content-type", "").partition(";")[0] == kind
    assert answer.text.startswith(start)
    assert bool(answer.text) == bool(start)


@pytest.mark.parametrize("status", [405, 404, 501])
def test_the_answer_to_a_patch_is_a_switch(imis: httpx.Client, switch: Any, status: int) -> None:
    """PATCH may be answered otherwise than with 405."""
    switch(PatchStatus=status)

    assert imis.patch("/api/Activity/880123", json=activity()).status_code == status


def test_ordinals_may_count_through_a_source(imis: httpx.Client, switch: Any) -> None:
    """Ordinals may be counted over all contacts of a source."""
    switch(OrdinalNumbering="source")
    for party in ("10042", "10043"):
        imis.post("/api/TopClass_Learning", json=completion(ID=party))

    keys = [key_of(item) for item in items_of(imis.get("/api/TopClass_Learning"))]
    assert keys == [["10042", "1"], ["10043", "2"]]


def test_a_closed_query_may_be_404(imis: httpx.Client, switch: Any) -> None:
    """A query that is not marked for REST may look as if it were not there."""
    switch(ClosedQuery=404)

    assert imis.get(f"/api/query?QueryName={seeds.CLOSED_QUERY}").status_code == 404


@pytest.mark.parametrize("order", [["PartyId", "ID"], ["ID", "PartyId"]])
def test_party_id_counts_before_its_other_name(imis: httpx.Client, order: list[str]) -> None:
    """A client in use sends the id of its own record as ID beside PartyId."""
    values = {"PartyId": "10042", "ID": "7781"}
    properties = [{"Name": name, "Value": values[name]} for name in order]
    properties.append({"Name": "ACTIVITY_TYPE", "Value": "CALL"})
    answer = imis.post("/api/Activity", json={"$type": GENERIC, "properties": {"$values": properties}})

    assert answer.json()["PrimaryParentIdentity"]["IdentityElements"]["$values"] == ["10042"]
    alone = {"$type": GENERIC, "Properties": [{"Name": "ID", "Value": "7781"}, properties[-1]]}
    assert bad_fields(imis.post("/api/Activity", json=alone)) == ["PartyId"]


def test_a_contact_may_leave_out_what_is_false(imis: httpx.Client, switch: Any) -> None:
    """Members of a contact that are false may be left out."""
    switch(FalseInContacts=False)
    people = items_of(imis.get("/api/PartySummary"))

    assert [row["PartyId"] for row in people if "IsOrganization" in row] == [seeds.CLINIC.party_id]


def test_the_reference_lists_the_open_questions_with_their_switches() -> None:
    """The table in docs/reference/imis.md has each question with the names and defaults of its switches."""
    page = (Path(__file__).parents[2] / "docs/reference/imis.md").read_text(encoding="utf-8")
    rows = [
        f"| {question} | {', '.join(f'`{name}` {json.dumps(value)}' for name, value in switches.items())} |"
        for question, switches in OPEN_QUESTIONS.items()
    ]

    assert "\n".join(rows) in page
