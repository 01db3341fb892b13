"""Activity and its types (section 7)."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sandbox.sandbox_entities import GENERIC, activity, bad_fields, entity, identity, items_of, key_of, values_of

from learning_hub.sandbox import seeds


def test_each_new_activity_gets_the_next_sequence_number(imis: httpx.Client) -> None:
    """Each new activity gets the next sequence number, as its identity and as a property."""
    first, second = (imis.post("/api/Activity", json=activity()) for _ in range(2))

    assert (first.status_code, key_of(first.json())) == (201, [str(seeds.FIRST_SEQN)])
    assert values_of(second.json())["SEQN"] == seeds.FIRST_SEQN + 1


def test_a_complete_body_is_stored(imis: httpx.Client) -> None:
    """A body with all common members is stored and can be read by its identity."""
    values = {
        "ACTIVITY_TYPE": "TCLEARNING",
        "SOURCE_CODE": "TopClass",
        "PRODUCT_CODE": "FIRE-201",
        "DESCRIPTION": "Fire safety refresher",
        "EFFECTIVE_DATE": "2031-03-14T15:20:00",
        "UNITS": 1.5,
        "CATEGORY": "CPD",
    }
    parent = {
        "PrimaryParentEntityTypeName": "Party",
        "PrimaryParentIdentity": identity("Party", "10042"),
    }
    imis.post("/api/Activity", json=entity("Activity", {"PartyId": "10042", **values}, **parent))

    stored = imis.get("/api/Activity/880123").json()

    assert stored["PrimaryParentIdentity"]["IdentityElements"]["$values"] == ["10042"]
    assert values_of(stored) | values == values_of(stored)


@pytest.mark.parametrize(
    "body",
    [
        {"properties": [{"name": "PARTYID", "value": "10042"}, {"Name": "activity_type", "Value": "call"}]},
        {"Properties": {"$values": [{"Name": "ID", "Value": 10042}, {"Name": "ACTIVITY_TYPE", "Value": "CALL"}]}},
        {
            "PrimaryParentIdentity": identity("Party", "10042"),
            "Properties": {"$values": [{"Name": "ACTIVITY_TYPE", "Value": "CALL"}]},
        },
    ],
)
def test_a_body_needs_no_entity_name_or_types(imis: httpx.Client, body: dict[str, Any]) -> None:
    """A body needs no entity name, parent or property types; property names may have any letter case."""
    stored = imis.post("/api/Activity", json={"$type": GENERIC, **body}).json()

    assert values_of(stored)["PartyId"] == "10042"
    assert values_of(stored)["ACTIVITY_TYPE"] == "CALL"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"PartyId": None}, ["PartyId"]),
        ({"PartyId": ""}, ["PartyId"]),
        ({"PartyId": "99999"}, ["PartyId"]),
        ({"ACTIVITY_TYPE": None}, ["ACTIVITY_TYPE"]),
        ({"ACTIVITY_TYPE": "GOLF"}, ["ACTIVITY_TYPE"]),
        ({"PartyId": "99999", "ACTIVITY_TYPE": "GOLF"}, ["PartyId", "ACTIVITY_TYPE"]),
        ({"DESCRIPTION": "x" * 256}, ["DESCRIPTION"]),
        ({"PRODUCT_CODE": "x" * 32}, ["PRODUCT_CODE"]),
        ({"UNITS": "lots"}, ["UNITS"]),
        ({"UNITS": True}, ["UNITS"]),
        ({"EFFECTIVE_DATE": "tomorrow"}, ["EFFECTIVE_DATE"]),
        ({"EFFECTIVE_DATE": "2031-02-30"}, ["EFFECTIVE_DATE"]),
        ({"GRACE_PERIOD": 1.5}, ["GRACE_PERIOD"]),
        ({"GRACE_PERIOD": 2**31}, ["GRACE_PERIOD"]),
        ({"RECURRING_REQUEST": "perhaps"}, ["RECURRING_REQUEST"]),
    ],
)
def test_an_invalid_value_is_an_error_on_its_field(
    imis: httpx.Client, values: dict[str, Any], fields: list[str]
) -> None:
    """A missing, unknown, too long or unreadable value is a validation error on its field; nothing is stored."""
    response = imis.post("/api/Activity", json=activity(**values))

    assert bad_fields(response) == fields
    assert response.reason_phrase == "Validation error"
    assert imis.get("/api/Activity").json()["TotalCount"] == 0


def test_contradicting_contacts_are_a_validation_error(imis: httpx.Client) -> None:
    """A body whose parent and PartyId name different contacts is a validation error."""
    body = activity() | {"PrimaryParentIdentity": identity("Party", "10043")}

    assert bad_fields(imis.post("/api/Activity", json=body)) == ["PartyId"]


def test_validation_error_by_switch(imis: httpx.Client, switch: Any) -> None:
    """A validation error can be answered as some sites do: 500 and the text about the administrator."""
    switch(ValidationAnswer="text-500")

    response = imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF"))

    assert (response.status_code, response.text) == (
        500,
        "An error occurred. Please contact the administrator.",
    )


def test_long_text_by_switch(imis: httpx.Client, switch: Any) -> None:
    """Text longer than its column can be truncated instead of rejected."""
    switch(LongActivityText="cut")

    stored = imis.post("/api/Activity", json=activity(PRODUCT_CODE="x" * 40)).json()

    assert values_of(stored)["PRODUCT_CODE"] == "x" * 31


def test_a_text_is_as_long_as_its_utf_16_units(imis: httpx.Client) -> None:
    """A column of 31 holds 15 emoji and a letter, and not 16 emoji."""
    assert imis.post("/api/Activity", json=activity(PRODUCT_CODE="\U0001f600" * 15 + "x")).status_code == 201

    assert imis.post("/api/Activity", json=activity(PRODUCT_CODE="\U0001f600" * 16)).status_code == 400


def test_an_unknown_property_is_ignored_or_rejected(imis: httpx.Client, switch: Any) -> None:
    """A property without a column is ignored, or rejected by switch."""
    body = activity(TITLE="Fire", LOCATION="Leeds")
    assert imis.post("/api/Activity", json=body).status_code == 201
    switch(UnknownActivityProperty="refuse")
    assert bad_fields(imis.post("/api/Activity", json=body)) == ["TITLE", "LOCATION"]


def test_default_transaction_date(imis: httpx.Client, switch: Any) -> None:
    """The default transaction date is the server's local time."""
    switch(TimeZone="Asia/Tokyo")
    stored = values_of(imis.post("/api/Activity", json=activity()).json())

    now = datetime.now(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)
    assert abs(now - datetime.fromisoformat(stored["TRANSACTION_DATE"])) < timedelta(seconds=30)


def test_an_update_changes_only_the_properties_it_has(imis: httpx.Client) -> None:
    """A PUT changes the properties it has, clears those that are null, and leaves the rest."""
    imis.post("/api/Activity", json=activity(UF_1="key", UNITS=1, NOTE="old", CATEGORY="CPD"))
    response = imis.put("/api/Activity/880123", json=activity(UNITS=2, NOTE=None, SEQN=5))

    stored = values_of(imis.get("/api/Activity/880123").json())
    assert response.status_code == 200
    assert (stored["UF_1"], stored["UNITS"], stored["NOTE"], stored["SEQN"]) == ("key", 2, None, 880123)


@pytest.mark.parametrize("values", [{"ACTIVITY_TYPE": "GOLF"}, {"PartyId": "99999"}, {"UNITS": "lots"}])
def test_an_invalid_update_changes_nothing(imis: httpx.Client, values: dict[str, Any]) -> None:
    """A PUT follows the same rules as a POST and changes nothing when it breaks one."""
    imis.post("/api/Activity", json=activity(UNITS=1))

    assert bad_fields(imis.put("/api/Activity/880123", json=activity(**values))) == list(values)
    assert values_of(imis.get("/api/Activity/880123").json())["UNITS"] == 1


def test_an_absent_activity_is_404(imis: httpx.Client) -> None:
    """Reading, changing and deleting an activity that does not exist is 404."""
    assert imis.get("/api/Activity/1").status_code == 404
    assert imis.put("/api/Activity/1", json=activity()).status_code == 404
    assert imis.delete("/api/Activity/1").status_code == 404


@pytest.mark.parametrize("name", ["PartyId", "ID", "partyid"])
def test_filter_on_the_contact(imis: httpx.Client, switch: Any, name: str) -> None:
    """Activities can be filtered by contact under both names, unless the switch forbids it."""
    imis.post("/api/Activity", json=activity())
    imis.post("/api/Activity", json=activity(PartyId="10043"))

    assert len(items_of(imis.get(f"/api/Activity?{name}=eq:10043"))) == 1
    switch(ActivityPartyFilter=False)
    assert imis.get(f"/api/Activity?{name}=eq:10043").status_code == 400


@pytest.mark.parametrize("name", ["UF_1", "UF_2", "UF_3", "OTHER_ID", "OTHER_CODE", "BATCH_NUM", "NOTE"])
def test_filter_on_a_text_column(imis: httpx.Client, name: str) -> None:
    """Every text column can store a client's key and be filtered by it."""
    imis.post("/api/Activity", json=activity(**{name: "K-1"}))

    assert len(items_of(imis.get(f"/api/Activity?{name}=eq:K-1"))) == 1
    assert items_of(imis.get(f"/api/Activity?{name}=eq:K-2")) == []


def test_validate_reports_problems_and_stores_nothing(imis: httpx.Client) -> None:
    """_validate reports the problems that a POST would find and stores nothing."""
    good = imis.post("/api/Activity/_validate", json=activity()).json()
    bad = imis.post("/api/Activity/_validate", json=activity(ACTIVITY_TYPE="GOLF")).json()

    assert (good["IsValid"], bad["IsValid"]) == (True, False)
    assert bad["ValidationResults"]["Errors"]["$values"][0]["FieldName"] == "ACTIVITY_TYPE"
    assert imis.get("/api/Activity").json()["TotalCount"] == 0


def test_a_new_activity_type_can_be_added_once(imis: httpx.Client) -> None:
    """The seeded types are listed; a new type can be added and used, but not added twice."""
    names = [item["ActivityTypeId"] for item in items_of(imis.get("/api/LegacyActivityType"))]
    golf = {"ActivityTypeId": "GOLF", "Description": "A round of golf"}
    added = imis.post("/api/LegacyActivityType", json=golf)

    assert names == ["TCLEARNING", "CALL", "MEETING"]
    assert added.status_code == 201
    assert imis.get("/api/LegacyActivityType/golf").json()["Description"] == "A round of golf"
    assert imis.post("/api/Activity", json=activity(ACTIVITY_TYPE="GOLF")).status_code == 201
    assert imis.post("/api/LegacyActivityType", json=golf).status_code == 409
    assert bad_fields(imis.post("/api/LegacyActivityType", json={"Description": "x"})) == ["ActivityTypeId"]
