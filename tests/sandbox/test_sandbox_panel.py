"""Rows of panel sources (section 8)."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import (
    activity,
    bad_fields,
    completion,
    definition,
    entity,
    identity,
    items_of,
    key_of,
    open_single_panel,
    values_of,
)

from learning_hub.sandbox import RunningSandbox, seeds

ROW = "/api/TopClass_Learning/~10042|1"


def test_post_returns_ordinal_zero(imis: httpx.Client) -> None:
    """The response to a POST has Ordinal 0 in identity and property; the row has the next ordinal of its contact."""
    responses = [imis.post("/api/TopClass_Learning", json=completion()).json() for _ in range(2)]
    imis.post("/api/TopClass_Learning", json=completion(ID="10043"))

    assert [key_of(response) for response in responses] == [["10042", "0"]] * 2
    assert [values_of(response)["Ordinal"] for response in responses] == [0, 0]
    keys = [key_of(item) for item in items_of(imis.get("/api/TopClass_Learning"))]
    assert keys == [["10042", "1"], ["10042", "2"], ["10043", "1"]]


def test_real_ordinal_by_switch(imis: httpx.Client, switch: Any) -> None:
    """By switch, the response to a POST has the real ordinal."""
    switch(PostOrdinal="real")

    assert key_of(imis.post("/api/TopClass_Learning", json=completion()).json()) == ["10042", "1"]


PARENT = {"PrimaryParentEntityTypeName": "Party", "PrimaryParentIdentity": identity("Party", "10042")}


@pytest.mark.parametrize(
    "members",
    [
        PARENT,
        {"PrimaryParentEntityTypeName": "Party"},
        {"Identity": identity("TopClass_Learning", "10042"), **PARENT},
        {"Identity": {"EntityTypeName": "TopClass_Learning"}, **PARENT},
    ],
    ids="ABCD",
)
def test_variants_of_a_new_row(imis: httpx.Client, members: dict[str, Any]) -> None:
    """A new row may come with or without identity and parent."""
    response = imis.post("/api/TopClass_Learning", json=completion() | members)

    assert response.status_code == 201
    assert response.json()["PrimaryParentIdentity"]["IdentityElements"]["$values"] == ["10042"]


def test_variant_of_a_single_row(imis: httpx.Client) -> None:
    """A single-instance row may come with its identity, and has no ordinal (variant E)."""
    open_single_panel(imis)
    members = {"Identity": identity("LH_Profile", "10042"), **PARENT}
    response = imis.post("/api/LH_Profile", json=entity("LH_Profile", {"ID": "10042", "Note": "x"}, **members))

    assert (response.status_code, key_of(response.json())) == (201, ["10042"])
    assert "Ordinal" not in values_of(imis.get("/api/LH_Profile/10042").json())


def test_contact_from_the_parent(imis: httpx.Client) -> None:
    """Without an ID property the parent determines the contact."""
    row = entity("TopClass_Learning", {"CourseCode": "X"}, **PARENT)

    assert imis.post("/api/TopClass_Learning", json=row).status_code == 201


@pytest.mark.parametrize("second_status", [409, 400])
def test_second_single_row(imis: httpx.Client, switch: Any, second_status: int) -> None:
    """A contact has one row of a single-instance source; a second one is 409, or 400 by switch."""
    open_single_panel(imis)
    switch(SecondSingleRow=second_status)
    row = entity("LH_Profile", {"ID": "10042", "Note": "x"})

    assert imis.post("/api/LH_Profile", json=row).status_code == 201
    assert imis.post("/api/LH_Profile", json=row).status_code == second_status
    assert imis.post("/api/LH_Profile", json=entity("LH_Profile", {"ID": "10043"})).status_code == 201


def test_imis_fills_the_audit_columns(imis: httpx.Client) -> None:
    """Audit columns are filled by iMIS, whatever a client sends for them; a PUT updates UpdatedOn."""
    imis.post("/api/TopClass_Learning", json=completion(CreatedOn="2001-01-01", CreatedByUserKey="me"))
    first = values_of(imis.get(ROW).json())
    imis.put(ROW, json=completion(UpdatedOn="2001-01-01"))
    second = values_of(imis.get(ROW).json())

    assert first["CreatedByUserKey"] == first["UpdatedByUserKey"] == seeds.USER_KEY
    assert first["CreatedOn"] == first["UpdatedOn"] == second["CreatedOn"]
    assert second["UpdatedOn"] > "2002"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"CourseCode": "x" * 81}, ["CourseCode"]),
        ({"Course": "x" * 151, "CEUType": "x" * 81}, ["Course", "CEUType"]),
        ({"Units": "many"}, ["Units"]),
        ({"Units": "123456789012345"}, ["Units"]),
        ({"CourseCompleted": "soon"}, ["CourseCompleted"]),
        ({"ID": "99999"}, ["ID"]),
        ({"ID": None}, ["ID"]),
    ],
)
def test_an_invalid_row_names_every_bad_field(imis: httpx.Client, values: dict[str, Any], fields: list[str]) -> None:
    """A wrong length, type or contact is a validation error that names every field."""
    assert bad_fields(imis.post("/api/TopClass_Learning", json=completion(**values))) == fields


def test_body_of_a_validation_error(imis: httpx.Client) -> None:
    """The error has field, value, source and message, and an empty list of warnings."""
    long = "x" * 81
    response = imis.post("/api/TopClass_Learning", json=completion(CourseCode=long))
    (error,) = response.json()["Errors"]["$values"]

    assert response.json()["$type"] == "Asi.Soa.Core.DataContracts.ValidationResultsData, Asi.Contracts"
    assert response.json()["Warnings"]["$values"] == []
    assert error == {
        "$type": "Asi.Soa.Core.DataContracts.ValidationResultData, Asi.Contracts",
        "FieldName": "CourseCode",
        "FieldValue": long,
        "Location": "TopClass_Learning",
        "Message": "CourseCode must not be longer than 80 characters.",
    }


def test_an_unknown_property_is_ignored_or_rejected(imis: httpx.Client, switch: Any) -> None:
    """A property that the source lacks is ignored, or rejected by switch."""
    assert imis.post("/api/TopClass_Learning", json=completion(Colour="red")).status_code == 201
    switch(UnknownPanelProperty="refuse")
    assert bad_fields(imis.post("/api/TopClass_Learning", json=completion(Colour="red"))) == ["Colour"]


def test_a_put_leaves_what_it_omits_and_clears_nulls(imis: httpx.Client) -> None:
    """A PUT leaves omitted properties, clears those with a null or missing Value, and stores an empty text."""
    full = {"Course": "Fire", "Units": 1.5, "CreditType": "CPD", "CEUType": "A", "CourseCompleted": "2031-03-14"}
    imis.post("/api/TopClass_Learning", json=completion(**full))
    change = completion(Course="Fire 2", Units=None, CEUType="")
    change["Properties"]["$values"].append({"Name": "CreditType"})
    response = imis.put(ROW, json=change)

    stored = values_of(imis.get(ROW).json())
    assert response.status_code == 200
    assert (stored["Course"], stored["Units"], stored["CreditType"]) == ("Fire 2", None, None)
    assert (stored["CEUType"], stored["CourseCompleted"]) == ("", "2031-03-14T00:00:00")


def test_put_of_an_unchanged_row(imis: httpx.Client) -> None:
    """Writing back a whole entity changes only UpdatedOn."""
    imis.post("/api/TopClass_Learning", json=completion(Units="1.50", CourseCompleted="2031-03-14T15:20:00.5"))
    before = imis.get(ROW).json()

    assert imis.put(ROW, json=before).status_code == 200
    after = imis.get(ROW).json()
    assert values_of(after) | {"UpdatedOn": ""} == values_of(before) | {"UpdatedOn": ""}


def test_put_by_switches(imis: httpx.Client, switch: Any) -> None:
    """By switch, omitted properties are cleared, nulls ignored, and empty texts stored as null."""
    imis.post("/api/TopClass_Learning", json=completion(Course="Fire", Units=1.5, CreditType="CPD"))
    switch(NullInPut="unchanged", EmptyText="null")
    imis.put(ROW, json=completion(Units=None, CreditType=""))
    assert values_of(imis.get(ROW).json())["Units"] == 1.5
    switch(OmittedInPut="cleared", NullInPut="cleared")
    imis.put(ROW, json=completion(CreditType=""))
    stored = values_of(imis.get(ROW).json())
    assert (stored["Course"], stored["CreditType"], stored["CourseCode"]) == (None, None, "FIRE-201")
    assert stored["CreatedOn"] is not None


def test_put_to_another_contact(imis: httpx.Client) -> None:
    """The identity of a row cannot be changed."""
    imis.post("/api/TopClass_Learning", json=completion())

    assert bad_fields(imis.put(ROW, json=completion(ID="10043"))) == ["ID"]


@pytest.mark.parametrize("status", [404, 501, 403])
def test_a_closed_source_answers_with_the_status_of_the_switch(imis: httpx.Client, switch: Any, status: int) -> None:
    """A source whose REST box is not ticked answers with the status of the switch."""
    switch(ClosedPanel=status)
    closed = imis.put("/_sandbox/panels/topclass_learning", json={"AvailableViaRest": False})

    assert closed.json() == {"Name": "TopClass_Learning", "AvailableViaRest": False}
    assert imis.get("/api/TopClass_Learning").status_code == status
    assert imis.post("/api/TopClass_Learning", json=completion()).status_code == status
    assert imis.get("/api/metadata/TopClass_Learning").status_code == status
    assert imis.get("/api/BOEntityDefinition/TopClass_Learning").status_code == 200
    imis.put("/_sandbox/panels/TopClass_Learning", json={"AvailableViaRest": True})
    assert imis.get("/api/TopClass_Learning").status_code == 200


def test_columns_of_the_seed(imis: httpx.Client, sandbox: RunningSandbox) -> None:
    """The seeded source has the columns that the TopClass document names, the audit columns, and no others."""
    names = list(values_of(imis.post("/api/TopClass_Learning", json=completion()).json()))

    assert names == [
        *("ID", "Ordinal", "CourseCode", "Course", "CourseCompleted", "Units", "CreditType", "CEUType"),
        *("CreatedOn", "UpdatedOn", "CreatedByUserKey", "UpdatedByUserKey"),
    ]
    assert sandbox.site.panels["topclass_learning"].cardinality == "Multi"


def test_names_are_no_reserved_words_of_sql(imis: httpx.Client) -> None:
    """Names of sources and properties have only letters, digits and underscores, and are not reserved words of SQL."""
    for name in ("1st", "with space", "select", ""):
        assert bad_fields(imis.post("/api/BOEntityDefinition", json=definition(name))) == ["EntityTypeName"]


def test_only_staff_writes_panels(imis: httpx.Client) -> None:
    """An account without a staff role can read rows and definitions and write activities, but not write panel data."""
    assert imis.post("/api/TopClass_Learning", json=completion()).status_code == 201
    lost = imis.put("/_sandbox/account", json={"roles": ["Everyone"]})

    assert lost.json()["Roles"] == ["Everyone"]
    refused = [
        imis.post("/api/TopClass_Learning", json=completion()),
        imis.put(ROW, json=completion(Units=2)),
        imis.delete(ROW),
        imis.post("/api/BOEntityDefinition", json=definition("LH_New")),
        imis.put("/api/BOEntityDefinition/TopClass_Learning", json=definition("TopClass_Learning")),
    ]
    assert [response.status_code for response in refused] == [403] * 5
    assert "permission" in refused[0].text
    assert len(items_of(imis.get("/api/TopClass_Learning"))) == 1
    assert imis.get("/api/BOEntityDefinition/TopClass_Learning").status_code == 200
    assert imis.post("/api/Activity", json=activity()).status_code == 201
    roles = imis.post("/api/UserSecurity/_execute", json={"OperationName": "GetUserRoles"}).json()["Result"]
    assert [role["RoleName"] for role in roles["$values"]] == ["Everyone"]
    imis.put("/_sandbox/account", json={"Roles": ["Everyone", "StaffUser"]})
    assert imis.put(ROW, json=completion(Units=2)).status_code == 200
