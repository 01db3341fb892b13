"""Definitions and metadata (section 9)."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import DEFINITION, bad_fields, definition, entity, items_of, text_property, values_of

PREFIX = "Asi.Soa.Core.DataContracts.PropertyType"


def names_in(sent: dict[str, Any]) -> list[str]:
    return [item["Name"] for item in sent["Properties"]["$values"]]


def test_definition_of_the_seed(imis: httpx.Client) -> None:
    """A definition has the kind, the parent, and every column with type and width; defaults are left out."""
    sent = imis.get("/api/boentitydefinition/topclass_learning").json()
    by_name = {item["Name"]: item for item in sent["Properties"]["$values"]}

    assert (sent["$type"], sent["ObjectTypeName"]) == (DEFINITION, "Multi")
    assert sent["PrimaryParentEntityTypeName"] == "Party"
    assert by_name["CourseCode"] == {
        "$type": f"{PREFIX}StringData, Asi.Contracts",
        "Name": "CourseCode",
        "PropertyTypeName": "String",
        "Caption": "Course code",
        "MaxLength": 80,
        "Visible": True,
    }
    kinds = {name: by_name[name]["PropertyTypeName"] for name in ("Ordinal", "Units", "CourseCompleted")}
    assert kinds == {"Ordinal": "Integer", "Units": "Decimal", "CourseCompleted": "Date"}
    assert by_name["ID"]["IsIdentity"]


def test_an_absent_source_has_no_definition(imis: httpx.Client) -> None:
    """A source that does not exist has no definition."""
    assert imis.get("/api/BOEntityDefinition/LH_Nothing").status_code == 404
    assert imis.put("/api/BOEntityDefinition/LH_Nothing", json=definition("LH_Nothing")).status_code == 404


@pytest.mark.parametrize(("kind", "keys"), [("Multi", ["ID", "Ordinal"]), ("Single", ["ID"])])
def test_a_new_source_accepts_rows_after_its_box_is_ticked(imis: httpx.Client, kind: str, keys: list[str]) -> None:
    """A new source gets key and audit columns, and accepts rows only after its REST box is ticked."""
    response = imis.post("/api/BOEntityDefinition", json=definition("LH_New", kind))
    row = entity("LH_New", {"ID": "10042", "Note": "x"})

    assert response.status_code == 201
    audit = ["CreatedOn", "UpdatedOn", "CreatedByUserKey", "UpdatedByUserKey"]
    assert names_in(response.json()) == [*keys, "Note", *audit]
    assert imis.post("/api/LH_New", json=row).status_code == 404
    imis.put("/_sandbox/panels/LH_New", json={"AvailableViaRest": True})
    assert imis.post("/api/LH_New", json=row).status_code == 201


def test_every_kind_of_column(imis: httpx.Client) -> None:
    """Text, integer, decimal, money, boolean, binary and date columns can be defined and hold their values."""
    kinds = {
        "Words": ("String", "x"),
        "Whole": ("Integer", 7),
        "Exact": ("Decimal", 1.25),
        "Price": ("Monetary", 9.5),
        "Flag": ("Boolean", True),
        "Picture": ("Binary", "iVBORw=="),
        "Day": ("DateTime", "2031-03-14T00:00:00"),
    }
    properties = [{"$type": f"{PREFIX}{kind}Data, Asi.Contracts", "Name": name} for name, (kind, _) in kinds.items()]
    properties[-1]["DateTimeDataType"] = 1  # type: ignore[assignment]
    imis.post("/api/BOEntityDefinition", json=definition("LH_Kinds", "Multi", *properties))
    imis.put("/_sandbox/panels/LH_Kinds", json={"AvailableViaRest": True})

    values = {name: value for name, (_, value) in kinds.items()} | {"Day": "2031-03-14T15:20:00"}
    imis.post("/api/LH_Kinds", json=entity("LH_Kinds", {"ID": "10042", **values}))

    stored = values_of(imis.get("/api/LH_Kinds/~10042|1").json())
    assert {name: stored[name] for name in kinds} == {name: value for name, (_, value) in kinds.items()}


def test_all_problems_of_a_definition_are_reported(imis: httpx.Client) -> None:
    """All problems of a definition are reported at once."""
    body = definition("LH_Bad", "Several", text_property("Note", 5), text_property("note", 5), {"Name": "X"})
    response = imis.post("/api/BOEntityDefinition", json=body | {"PrimaryParentEntityTypeName": "Event"})

    assert bad_fields(response) == ["Name", "X", "ObjectTypeName", "PrimaryParentEntityTypeName"]


@pytest.mark.parametrize("kind", [None, "Standard", 5, {}, []])
def test_a_source_is_single_or_multi(imis: httpx.Client, kind: Any) -> None:
    """Any other ObjectTypeName, of any JSON type, is a validation error."""
    body = definition("LH_Odd") | {"ObjectTypeName": kind}

    assert bad_fields(imis.post("/api/BOEntityDefinition", json=body)) == ["ObjectTypeName"]


@pytest.mark.parametrize("name", ["topclass_learning", "Activity", "PARTY"])
def test_a_duplicate_name_is_409(imis: httpx.Client, name: str) -> None:
    """The name of an existing source or iMIS entity, in any letter case, is 409."""
    assert imis.post("/api/BOEntityDefinition", json=definition(name)).status_code == 409


def test_an_update_adds_columns_and_widens_texts(imis: httpx.Client) -> None:
    """A PUT adds columns and widens texts; rows keep their values, and narrowing is ignored silently."""
    path = "/api/BOEntityDefinition/TopClass_Learning"
    row = {"ID": "10042", "CourseCode": "X"}
    imis.post("/api/TopClass_Learning", json=entity("TopClass_Learning", row))
    properties = [text_property("Extra", 9), text_property("CourseCode", 10), text_property("Course", 400)]
    sent = imis.put(path, json=definition("TopClass_Learning", "Single", *properties)).json()

    widths = {item["Name"]: item.get("MaxLength") for item in sent["Properties"]["$values"]}
    assert sent["ObjectTypeName"] == "Multi"
    assert (widths["Extra"], widths["CourseCode"], widths["Course"]) == (9, 80, 400)
    stored = values_of(imis.get("/api/TopClass_Learning/~10042|1").json())
    assert (stored["CourseCode"], stored["Extra"]) == ("X", None)


def test_switches_reject_missing_keys_and_open_new_sources(imis: httpx.Client, switch: Any) -> None:
    """By switch, missing key columns are rejected, and a new source is available at once."""
    switch(DefinitionKeys="refuse", NewSourceAvailable=True)
    assert bad_fields(imis.post("/api/BOEntityDefinition", json=definition("LH_A"))) == ["ID", "Ordinal"]
    switch(DefinitionKeys="add")
    imis.post("/api/BOEntityDefinition", json=definition("LH_A"))
    assert imis.get("/api/LH_A").status_code == 200


def test_metadata_lists_columns_or_is_501(imis: httpx.Client, switch: Any) -> None:
    """Metadata lists the columns of Activity and of sources; for other entities, or by switch, it is 501."""
    sent = imis.get("/api/metadata/topclass_learning").json()

    assert sent["$type"] == "Asi.Soa.Core.DataContracts.EntityDefinitionData, Asi.Contracts"
    assert "ObjectTypeName" not in sent
    assert "CourseCode" in names_in(sent)
    assert "ACTIVITY_TYPE" in names_in(imis.get("/api/metadata/Activity").json())
    assert imis.get("/api/metadata/BOEntityDefinition").status_code == 501
    switch(Metadata=501)
    assert imis.get("/api/metadata/TopClass_Learning").status_code == 501


def test_list_of_sources(imis: httpx.Client) -> None:
    """A filter on ObjectTypeName separates panel sources from other definitions."""
    rows = items_of(imis.get("/api/BOEntityDefinition?ObjectTypeName=in:Single|Multi"))

    assert [row["EntityTypeName"] for row in rows] == ["TopClass_Learning"]


def test_definition_storage_switches(imis: httpx.Client, switch: Any) -> None:
    """By switch, key columns in a body are rejected, and changes and flags are dropped silently."""
    flagged = text_property("Note", 5) | {"IsReadOnly": True}
    imis.post("/api/BOEntityDefinition", json=definition("LH_A", "Multi", flagged))
    path = "/api/BOEntityDefinition/LH_A"

    def note() -> tuple[int, bool]:
        items = imis.get(path).json()["Properties"]["$values"]
        return next((item["MaxLength"], item.get("IsReadOnly", False)) for item in items if item["Name"] == "Note")

    assert note() == (5, True)
    switch(DefinitionChanges="drop")
    assert imis.put(path, json=definition("LH_A", "Multi", text_property("Note", 9))).status_code == 200
    assert note() == (5, True)
    switch(DefinitionChanges="take", ReadOnlyFlags="drop")
    imis.put(path, json=definition("LH_A", "Multi", text_property("Note", 9) | {"IsReadOnly": True}))
    assert note() == (9, False)
    switch(DefinitionKeys="own")
    with_key = definition("LH_B", "Multi", text_property("ID", 10))
    assert bad_fields(imis.post("/api/BOEntityDefinition", json=with_key)) == ["ID"]


def test_binary_values_are_base64(imis: httpx.Client) -> None:
    """Binary values are Base64, wrapped in properties and bare elsewhere; invalid Base64 is rejected."""
    picture = {"$type": f"{PREFIX}BinaryData, Asi.Contracts", "Name": "Picture"}
    imis.post("/api/BOEntityDefinition", json=definition("LH_Bytes", "Multi", picture))
    imis.put("/_sandbox/panels/LH_Bytes", json={"AvailableViaRest": True})
    wrapped = {"$type": "System.Byte[], mscorlib", "$value": "aGk="}
    stored = imis.post("/api/LH_Bytes", json=entity("LH_Bytes", {"ID": "10042", "Picture": wrapped})).json()

    assert {item["Name"]: item.get("Value") for item in stored["Properties"]["$values"]}["Picture"] == wrapped
    assert len(items_of(imis.get("/api/LH_Bytes?Picture=aGk%3D"))) == 1
    assert imis.get("/_sandbox/state").json()["Panels"]["LH_Bytes"][0]["Picture"] == "aGk="
    assert imis.get("/").status_code == 200
    bad = imis.post("/api/LH_Bytes", json=entity("LH_Bytes", {"ID": "10042", "Picture": "?"}))
    assert bad_fields(bad) == ["Picture"]


def test_screen_members_of_a_definition_are_stored(imis: httpx.Client) -> None:
    """Members for screens and tools come back as sent, and IsReadOnly does not prevent writes."""
    rule = {
        "$type": "Asi.Soa.Core.DataContracts.PropertyRuleValueListData, Asi.Contracts",
        "ValueList": {"$type": "x", "$values": ["CPD", "CE"]},
    }
    note = text_property("Note", 20) | {"AllowMultiSelect": True, "IsReadOnly": True, "Logged": False, "Rule": rule}
    imis.post("/api/BOEntityDefinition", json=definition("LH_Rules", "Multi", note))
    imis.put("/_sandbox/panels/LH_Rules", json={"AvailableViaRest": True})
    sent = imis.get("/api/BOEntityDefinition/LH_Rules").json()
    (read,) = [item for item in sent["Properties"]["$values"] if item["Name"] == "Note"]

    assert (read["AllowMultiSelect"], read["IsReadOnly"], read["Rule"]) == (True, True, rule)
    assert "Logged" not in read
    stored = imis.post("/api/LH_Rules", json=entity("LH_Rules", {"ID": "10042", "Note": "CPD,CE"})).json()
    assert values_of(stored)["Note"] == "CPD,CE"


@pytest.mark.parametrize("entity", ["Party", "Person", "partysummary"])
def test_metadata_of_contacts_is_nested(imis: httpx.Client, switch: Any, entity: str) -> None:
    """The metadata of contacts describes nested members."""
    sent = imis.get(f"/api/metadata/{entity}").json()
    by_name = {item["Name"]: item for item in sent["Properties"]["$values"]}

    assert by_name["Email"]["PropertyTypeName"] == "String"
    assert names_in(by_name["Status"]["EntityDefinition"]) == ["PartyStatusId", "Name", "Description"]
    if entity != "partysummary":
        email = by_name["Emails"]["ItemEntityPropertyDefinition"]
        assert names_in(email["EntityDefinition"]) == ["Address", "EmailType"]
    switch(Metadata=501)
    assert imis.get(f"/api/metadata/{entity}").status_code == 501


def test_a_definition_read_and_written_back_is_the_same(imis: httpx.Client) -> None:
    """A client can read a definition, add a column, and put the whole definition back, as the vendor's tool does."""
    path = "/api/BOEntityDefinition?EntityId=TopClass_Learning"
    whole = imis.get(path).json()
    assert imis.put(path, json=whole).json() == whole

    whole["Properties"]["$values"].append(text_property("Extra", 9))
    assert "Extra" in names_in(imis.put(path, json=whole).json())
