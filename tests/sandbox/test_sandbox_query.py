"""IQA and query (section 11)."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, items_of, values_of

from learning_hub.sandbox import seeds


@pytest.fixture
def activities(imis: httpx.Client) -> httpx.Client:
    imis.post("/api/Activity", json=activity(UNITS=1.5, PRODUCT_CODE="FIRE-201", RECURRING_REQUEST=True))
    imis.post("/api/Activity", json=activity(PartyId="10043", ACTIVITY_TYPE="CALL"))
    return imis


def test_a_row_of_query_is_flat(activities: httpx.Client) -> None:
    """A row of query is flat, with display aliases and bare values."""
    response = activities.get("/api/query", params={"QueryName": seeds.ACTIVITIES_QUERY})
    first = items_of(response)[0]

    assert response.json()["$type"] == "Asi.Soa.Core.DataContracts.PagedResult, Asi.Contracts"
    assert first["$type"] == "System.Dynamic.ExpandoObject, System.Core"
    assert (first["ID"], first["Seqn"], first["Units"]) == ("10042", 880123, 1.5)
    assert first["ActivityType"] == "TCLEARNING"


def test_a_row_of_iqa_is_a_generic_entity(activities: httpx.Client) -> None:
    """A row of IQA is a generic entity with its number first, wrapped values, and no identity."""
    first = items_of(activities.get("/api/iqa", params={"queryname": seeds.ACTIVITIES_QUERY}))[0]
    names = [item["Name"] for item in first["Properties"]["$values"]]

    assert list(first) == ["$type", "EntityTypeName", "Properties"]
    assert first["EntityTypeName"].isdigit()
    assert names[:2] == ["ResultRow", "ID"]
    assert first["Properties"]["$values"][0]["Value"] == "1"
    assert values_of(first)["Units"] == 1.5


def test_prompts_by_name(activities: httpx.Client) -> None:
    """The prompts of query go by name in any letter case, with operators; an empty prompt is skipped."""
    query = {"QueryName": seeds.ACTIVITIES_QUERY, "activitytype": "ne:CALL", "ID": "", "limit": "5"}

    assert [row["ID"] for row in items_of(activities.get("/api/query", params=query))] == ["10042"]
    unknown = {"QueryName": seeds.ACTIVITIES_QUERY, "Colour": "red"}
    assert activities.get("/api/query", params=unknown).status_code == 400


def test_prompts_go_by_position(activities: httpx.Client) -> None:
    """The prompts of IQA go by position; an empty prompt is skipped."""
    address = f"/api/IQA?QueryName={seeds.ACTIVITIES_QUERY}"

    assert len(items_of(activities.get(f"{address}&parameter=eq:10043&parameter="))) == 1
    assert len(items_of(activities.get(f"{address}&parameter=&parameter=CALL"))) == 1
    assert items_of(activities.get(f"{address}&parameter=10042&parameter=CALL")) == []


@pytest.mark.parametrize(
    ("email", "ids"),
    [
        ("Robin.Vale@example.org", ["10042"]),
        (seeds.SHARED_EMAIL, ["10048", "10049"]),
        (seeds.INACTIVE.email, []),
        ("nobody@example.org", []),
    ],
)
def test_contacts_by_email(imis: httpx.Client, email: str, ids: list[str]) -> None:
    """The contact query finds active contacts by e-mail address."""
    rows = items_of(imis.get("/api/query", params={"QueryName": seeds.CONTACT_QUERY, "Email": email}))

    assert [row["ID"] for row in rows] == ids


def test_guid_in_a_generic_row(imis: httpx.Client) -> None:
    """A GUID is wrapped in a row of IQA and bare in a row of query."""
    params = {"QueryName": seeds.CONTACT_QUERY, "parameter": seeds.ROBIN.email}
    (row,) = items_of(imis.get("/api/IQA", params=params))

    assert row["Properties"]["$values"][-1]["Value"] == {
        "$type": "System.Guid",
        "$value": seeds.ROBIN.uniform_id,
    }


def test_the_rows_of_a_panel_can_be_queried(imis: httpx.Client) -> None:
    """The rows of a panel source can be queried."""
    imis.post("/api/TopClass_Learning", json=completion(Units=2))
    query = {"QueryName": seeds.COMPLETIONS_QUERY, "CourseCode": "FIRE-201"}

    assert items_of(imis.get("/api/query", params=query))[0]["Ordinal"] == 1


@pytest.mark.parametrize("entity", ["IQA", "query"])
def test_an_unavailable_query_is_403_or_404(imis: httpx.Client, switch: Any, entity: str) -> None:
    """An unknown query is 404, or 403 by switch; a query not available to REST is 403; a missing name is 400."""
    assert imis.get(f"/api/{entity}?QueryName=$/Nothing").status_code == 404
    assert imis.get(f"/api/{entity}?QueryName={seeds.CLOSED_QUERY}").status_code == 403
    assert imis.get(f"/api/{entity}").status_code == 400
    switch(UnknownQuery=403)
    assert imis.get(f"/api/{entity}?QueryName=$/Nothing").status_code == 403


def test_a_cached_query_does_not_see_new_records(imis: httpx.Client, switch: Any) -> None:
    """By switch, a query does not see new records until its cache expires."""
    switch(QueryCacheSeconds=60)
    query = {"QueryName": seeds.ACTIVITIES_QUERY}
    assert items_of(imis.get("/api/query", params=query)) == []
    imis.post("/api/Activity", json=activity())
    assert items_of(imis.get("/api/query", params=query)) == []


def test_a_query_is_found_by_its_path(imis: httpx.Client) -> None:
    """FindByPath returns whether a query is available to REST; an unknown path is 404."""

    def find(path: str) -> httpx.Response:
        body = {"OperationName": "FindByPath", "Parameters": {"$values": [path]}}
        return imis.post("/api/QueryDefinition/_execute", json=body)

    assert find(seeds.ACTIVITIES_QUERY).json()["Result"]["IsAvailableToREST"] is True
    assert find(seeds.CLOSED_QUERY).json()["Result"]["IsAvailableToREST"] is False
    assert find("$/Nothing").status_code == 404
