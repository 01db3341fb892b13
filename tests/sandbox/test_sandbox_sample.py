"""Complete requests and responses on the wire: every member, in order, with type names."""

import json
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, password_grant
from sandbox.sandbox_samples import (
    ACTIVITY,
    ANY,
    CORE,
    EXECUTE,
    MEMBERSHIP,
    SOURCE,
    identity,
    page,
    post,
    properties,
    same,
    typed,
    wrapped,
)

from learning_hub.sandbox import seeds


def the_row(ordinal: int) -> dict[str, Any]:
    """The response entity for the row that `completion(Units=1.5)` adds."""
    values: list[tuple[str, Any]] = [
        ("ID", "10042"),
        ("Ordinal", wrapped("Int32", ordinal)),
        ("CourseCode", "FIRE-201"),
        ("Course", None),
        ("CourseCompleted", None),
        ("Units", wrapped("Decimal", 1.5)),
        ("CreditType", None),
        ("CEUType", ""),
        ("CreatedOn", ANY),
        ("UpdatedOn", ANY),
        ("CreatedByUserKey", seeds.USER_KEY),
        ("UpdatedByUserKey", seeds.USER_KEY),
    ]
    return typed(
        "GenericEntityData",
        EntityTypeName="TopClass_Learning",
        PrimaryParentEntityTypeName="Party",
        Identity=identity("TopClass_Learning", "10042", str(ordinal)),
        PrimaryParentIdentity=identity("Party", "10042"),
        Properties=properties(values),
    )


def the_summary() -> dict[str, Any]:
    status = {
        "$type": f"{MEMBERSHIP}.PartyStatusData, Asi.Contracts",
        "PartyStatusId": "A",
        "Name": "Active",
        "Description": "Active",
    }
    return {
        "$type": f"{MEMBERSHIP}.PartySummaryData, Asi.Contracts",
        "CityName": "Leeds",
        "CountryName": "United Kingdom",
        "Email": "robin.vale@example.org",
        "IsOrganization": False,
        "PartyId": "10042",
        "Id": "10042",
        "UniformId": seeds.ROBIN.uniform_id,
        "Status": status,
        "Name": "Robin Vale",
        "Sort": "VALE, ROBIN",
    }


def test_a_token_response_has_all_members_of_the_sample(visitor: httpx.Client) -> None:
    """The response to a sign-in has all members of the reference's sample."""
    expected = {
        "access_token": ANY,
        "token_type": "bearer",
        "expires_in": 1209599,
        "userName": "sandbox",
        ".issued": ANY,
        ".expires": ANY,
    }
    same(visitor.post("/token", data=password_grant()), 200, expected)


def test_an_unknown_token_is_401_with_the_body_of_the_sample(visitor: httpx.Client) -> None:
    """A token that was never issued is 401 with the body of the reference's sample."""
    expected = {
        "$type": "System.Web.Http.HttpError, System.Web.Http",
        "Message": "Authorization has been denied for this request.",
    }
    same(visitor.get("/api/Party", headers={"Authorization": "Bearer kYw7"}), 401, expected)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/Nothing"),
        ("POST", "/api/Activity"),
        ("PUT", "/api/Activity/1"),
        ("DELETE", "/api/TopClass_Learning/~10042|1"),
        ("PATCH", "/api/Activity/1"),
        ("GET", "/api/metadata/Activity"),
        ("POST", "/api/Party/_execute"),
        ("GET", "/api/query?QueryName=$/Nothing"),
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer", "Basic c2FuZGJveA==", "kYw7"])
def test_every_request_without_a_live_token_is_denied(
    visitor: httpx.Client, method: str, path: str, header: str | None
) -> None:
    """Without a live token, each kind of request is 401 with the reference's body."""
    response = visitor.request(method, path, headers={"Authorization": header} if header else {})

    assert (response.status_code, response.json()["Message"]) == (
        401,
        "Authorization has been denied for this request.",
    )


def test_a_generic_entity_has_the_members_of_the_sample(imis: httpx.Client) -> None:
    """A row has the members of the reference's sample in order; null properties have no Value."""
    imis.post("/api/TopClass_Learning", json=completion(Units=1.5, CEUType=""))

    same(imis.get("/api/TopClass_Learning/~10042|1"), 200, the_row(1))


def test_page_has_eight_members_also_when_empty(imis: httpx.Client) -> None:
    """A page has all eight members in order, including nulls, zeros and false."""
    imis.post("/api/TopClass_Learning", json=completion(Units=1.5, CEUType=""))
    item_type = f"{CORE}.GenericEntityData, Asi.Contracts"

    same(imis.get("/api/TopClass_Learning?ID=10042"), 200, page(item_type, the_row(1)))
    same(imis.get("/api/TopClass_Learning?ID=10043"), 200, page(item_type))


def test_response_to_a_new_row_has_ordinal_0(imis: httpx.Client) -> None:
    """A POST of a row returns the row, but not its real ordinal."""
    same(imis.post("/api/TopClass_Learning", json=completion(Units=1.5, CEUType="")), 201, the_row(0))


def test_response_to_an_updated_row(imis: httpx.Client) -> None:
    """A PUT returns the complete updated row."""
    imis.post("/api/TopClass_Learning", json=completion(Units=2, CEUType=""))

    same(imis.put("/api/TopClass_Learning/~10042%7C1", json=completion(Units=1.5)), 200, the_row(1))


def test_a_validation_error_has_errors_and_warnings(imis: httpx.Client) -> None:
    """A rejected value is 400 with both collections of the reference's sample."""
    error = typed(
        "ValidationResultData",
        FieldName="CourseCode",
        FieldValue="x" * 81,
        Location="TopClass_Learning",
        Message="CourseCode must not be longer than 80 characters.",
    )
    kind = f"{CORE}.ValidationResultDataCollection, Asi.Contracts"
    expected = typed(
        "ValidationResultsData",
        Errors={"$type": kind, "$values": [error]},
        Warnings={"$type": kind, "$values": []},
    )
    response = imis.post("/api/TopClass_Learning", json=completion(CourseCode="x" * 81))

    same(response, 400, expected)
    assert response.reason_phrase == "Validation error"


def test_an_unsupported_method_is_an_http_error(imis: httpx.Client) -> None:
    """A method that an address does not support is 405 with an HttpError."""
    expected = {
        "$type": "System.Web.Http.HttpError, System.Web.Http",
        "Message": "The requested resource does not support http method 'PATCH'.",
    }
    same(imis.patch("/api/Activity/1", json=activity()), 405, expected)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/Activity/1", 404, "Not Found"),
        ("/api/PersonSummary", 501, "Service not implemented"),
        ("/api/Party/10042/history", 501, "Operation not implemented"),
        (f"/api/query?QueryName={seeds.CLOSED_QUERY}", 403, "Forbidden"),
        ("/api/Activity?COLOUR=red", 400, "Bad Request"),
    ],
)
def test_other_errors_are_plain_text(imis: httpx.Client, path: str, status: int, reason: str) -> None:
    """All errors other than validation errors and HttpErrors are plain text."""
    response = imis.get(path)

    assert (response.status_code, response.reason_phrase) == (status, reason)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert not response.text.startswith(("{", "<"))


def test_response_to_a_new_activity_has_its_sequence_number(imis: httpx.Client) -> None:
    """The identity of a new activity is its sequence number, as text."""
    response = post(imis, "/api/Activity", ACTIVITY)
    body = response.json()

    assert response.status_code == 201
    assert json.dumps(body["Identity"]) == json.dumps(identity("Activity", str(seeds.FIRST_SEQN)))
    assert json.dumps(body["PrimaryParentIdentity"]) == json.dumps(identity("Party", "10042"))
    values = {item["Name"]: item.get("Value") for item in body["Properties"]["$values"]}
    assert (values["PartyId"], values["SEQN"]) == ("10042", wrapped("Int32", seeds.FIRST_SEQN))
    assert (values["EFFECTIVE_DATE"], values["UNITS"]) == ("2031-03-14T15:20:00", wrapped("Decimal", 1.5))
    assert imis.get(f"/api/Activity/{seeds.FIRST_SEQN}").json() == body


def test_response_to_a_new_source_is_its_definition(imis: httpx.Client) -> None:
    """The response to a new definition is the definition with its key and audit columns, as a GET returns it."""
    made = post(imis, "/api/BOEntityDefinition", SOURCE)
    by_name = {item["Name"]: item for item in made.json()["Properties"]["$values"]}

    assert made.status_code == 201
    assert list(by_name)[:5] == ["ID", "Ordinal", "ApplicationId", "SubmittedOn", "Score"]
    assert (by_name["ID"]["IsPrimaryParentIdentity"], by_name["ID"]["Required"], by_name["ID"]["MaxLength"]) == (
        True,
        True,
        10,
    )
    assert (by_name["Ordinal"]["PropertyTypeName"], by_name["Ordinal"]["Visible"]) == ("Integer", False)
    assert (by_name["Score"]["Precision"], by_name["Score"]["Scale"]) == (18, 4)
    assert imis.get("/api/BOEntityDefinition/OW_Samples").json() == made.json()


def _property(kind: str, name: str, type_name: str, **members: Any) -> dict[str, Any]:
    visible = members.pop("Visible", True)
    return typed(f"PropertyType{kind}Data", Name=name, PropertyTypeName=type_name, **members, Visible=visible)


PROPERTIES = [
    _property("String", "ID", "String", IsIdentity=True, IsPrimaryParentIdentity=True, Required=True, MaxLength=10),
    _property("Integer", "Ordinal", "Integer", IsIdentity=True, Visible=False),
    _property("String", "CourseCode", "String", Caption="Course code", MaxLength=80),
    _property("String", "Course", "String", MaxLength=150),
    _property("DateTime", "CourseCompleted", "Date", Caption="Course completed"),
    _property("Decimal", "Units", "Decimal", Precision=18, Scale=4),
    _property("String", "CreditType", "String", Caption="Credit type", MaxLength=80),
    _property("String", "CEUType", "String", Caption="CEU type", MaxLength=80),
    _property("DateTime", "CreatedOn", "Date", IsReadOnly=True),
    _property("DateTime", "UpdatedOn", "Date", IsReadOnly=True),
    _property("String", "CreatedByUserKey", "String", IsReadOnly=True, MaxLength=40),
    _property("String", "UpdatedByUserKey", "String", IsReadOnly=True, MaxLength=40),
]


def test_a_definition_and_its_metadata_have_all_columns(imis: httpx.Client) -> None:
    """Definition and metadata describe the same columns with their types and lengths."""
    listed = {"$type": f"{CORE}.EntityPropertyDefinitionDataCollection, Asi.Contracts", "$values": PROPERTIES}
    members = {
        "Description": "TopClass learning",
        "EntityTypeName": "TopClass_Learning",
        "PrimaryParentEntityTypeName": "Party",
        "Properties": listed,
    }
    definition = typed("BOEntityDefinitionData", **members, IsDesignable=True, ObjectTypeName="Multi")

    same(imis.get("/api/BoEntityDefinition/TopClass_Learning"), 200, definition)
    same(imis.get("/api/metadata/TopClass_Learning"), 200, typed("EntityDefinitionData", **members))


def test_a_search_by_email_returns_the_row_of_the_sample(imis: httpx.Client) -> None:
    """A search by e-mail address returns the row of the reference's sample."""
    item_type = f"{MEMBERSHIP}.PartySummaryData, Asi.Contracts"

    response = imis.get("/api/PartySummary?Email=eq:robin.vale%40example.org")

    same(response, 200, page(item_type, the_summary()))


def test_a_contact_has_all_members_as_person_and_party(imis: httpx.Client) -> None:
    """A contact has all its members as Person and as Party."""
    summary = the_summary()
    flat = {name: summary[name] for name in ("CityName", "CountryName", "Email", "IsOrganization")}
    email = {
        "$type": f"{MEMBERSHIP}.EmailData, Asi.Contracts",
        "Address": "robin.vale@example.org",
        "EmailType": "_Primary",
        "IsPrimary": True,
    }
    expected = {
        "$type": f"{MEMBERSHIP}.PersonData, Asi.Contracts",
        **flat,
        "PersonName": {
            "$type": f"{MEMBERSHIP}.PersonNameData, Asi.Contracts",
            "FirstName": "Robin",
            "LastName": "Vale",
            "FullName": "Robin Vale",
        },
        "Emails": {"$type": f"{MEMBERSHIP}.EmailDataCollection, Asi.Contracts", "$values": [email]},
        "AlternateIds": {
            "$type": f"{CORE}.AlternateIdDataCollection, Asi.Contracts",
            "$values": [typed("AlternateIdData", Id="LMS-7781", IdType="LMS")],
        },
        "UpdateInformation": typed(
            "UpdateInformationData", CreatedBy="SANDBOX", CreatedOn=ANY, UpdatedBy="SANDBOX", UpdatedOn=ANY
        ),
        **{name: summary[name] for name in ("PartyId", "Id", "UniformId", "Status", "Name", "Sort")},
    }
    same(imis.get("/api/Person/10042"), 200, expected)
    same(imis.get("/api/Party/10042"), 200, expected)


def test_query_returns_flat_rows(imis: httpx.Client) -> None:
    """Rows of /api/query are objects of aliases with unwrapped values."""
    imis.post("/api/TopClass_Learning", json=completion(Units=1.5, CourseCompleted="2031-03-14T15:20:00"))
    row = {
        "$type": "System.Dynamic.ExpandoObject, System.Core",
        "ID": "10042",
        "Ordinal": 1,
        "CourseCode": "FIRE-201",
        "Course": None,
        "CourseCompleted": "2031-03-14T15:20:00",
        "Units": 1.5,
        "CreditType": None,
        "CEUType": None,
    }
    response = imis.get("/api/query?QueryName=$/LearningHub/Completions&CourseCode=FIRE-201&limit=100&offset=0")

    same(response, 200, page(None, row))


def test_iqa_returns_generic_rows(imis: httpx.Client) -> None:
    """Rows of /api/IQA are generic entities without identity that begin with ResultRow."""
    imis.post("/api/TopClass_Learning", json=completion(Units=1.5))
    values: list[tuple[str, Any]] = [
        ("ResultRow", "1"),
        ("ID", "10042"),
        ("Ordinal", wrapped("Int32", 1)),
        ("CourseCode", "FIRE-201"),
        *((name, None) for name in ("Course", "CourseCompleted")),
        ("Units", wrapped("Decimal", 1.5)),
        *((name, None) for name in ("CreditType", "CEUType")),
    ]
    row = typed("GenericEntityData", EntityTypeName=ANY, Properties=properties(values))
    response = imis.get("/api/IQA?QueryName=%24%2FLearningHub%2FCompletions&parameter=eq:10042&parameter=&limit=100")

    same(response, 200, page(f"{CORE}.GenericEntityData, Asi.Contracts", row))


def test_execute_returns_a_service_response(imis: httpx.Client) -> None:
    """The result of _execute is wrapped in a service response."""
    response = post(imis, "/api/Party/_execute", EXECUTE)

    assert list(response.json()) == ["$type", "Result", "IsSuccessStatusCode", "StatusCode", "IsCachedResult"]
    assert response.json()["Result"] == imis.get("/api/Party/10042").json()


def test_validate_returns_the_entity_and_its_problems(imis: httpx.Client) -> None:
    """_validate returns the entity and its validation results."""
    kind = f"{CORE}.ValidationResultDataCollection, Asi.Contracts"
    nothing = {"$type": kind, "$values": []}
    expected = typed(
        "ValidateResultsData",
        Entity=json.loads(ACTIVITY),
        ValidationResults=typed("ValidationResultsData", Errors=nothing, Warnings=nothing),
        IsValid=True,
        HasWarnings=False,
    )
    same(post(imis, "/api/Activity/_validate", ACTIVITY), 200, expected)
