"""Addresses and methods (section 4), and older versions (section 13)."""

import socket
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, key_of, values_of

from learning_hub.sandbox import RunningSandbox


@pytest.mark.parametrize("name", ["Activity", "activity", "ACTIVITY"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_entity_names_in_any_case(imis: httpx.Client, name: str, slash: str) -> None:
    """The letter case of an entity name and a trailing slash make no difference."""
    assert imis.post(f"/api/{name}{slash}", json=activity()).status_code == 201
    assert imis.get(f"/API/{name}{slash}").json()["Count"] == 1


@pytest.mark.parametrize(
    "address",
    [
        "/api/TopClass_Learning/~10042|1",
        "/api/TopClass_Learning/~10042%7C1",
        "/api/TopClass_Learning/%7E10042%7c1/",
        "/api/topclass_learning?EntityId=~10042%7C1",
        "/api/topclass_learning/?entityid=~10042|1",
        "/api/TopClass_Learning?EntityId=%7e10042%7c1",
    ],
)
def test_a_composite_identity_works_in_every_form(imis: httpx.Client, address: str) -> None:
    """A composite identity works in the path, encoded or not, and as EntityId, for every method."""
    imis.post("/api/TopClass_Learning", json=completion())

    assert key_of(imis.get(address).json()) == ["10042", "1"]
    assert imis.put(address, json=completion(Course="Fire")).status_code == 200
    removed = imis.delete(address)
    assert (removed.status_code, removed.content) == (200, b"")
    assert imis.get(address).status_code == 404


def test_an_unencoded_bar_is_understood(imis: httpx.Client, sandbox: RunningSandbox) -> None:
    """An unencoded bar in the request line is understood."""
    imis.post("/api/TopClass_Learning", json=completion())
    host, port = sandbox.address.removeprefix("http://").split(":")
    lines = [
        "GET /api/TopClass_Learning/~10042|1 HTTP/1.1",
        f"Host: {host}",
        f"Authorization: {imis.headers['Authorization']}",
        "Connection: close",
        "",
        "",
    ]
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/TopClass_Learning/10042", 400),
        ("/api/TopClass_Learning/~10042|1|2", 400),
        ("/api/Activity/~1|2", 400),
        ("/api/Activity/abc", 404),
        ("/api/Activity/~", 404),
        ("/api/TopClass_Learning/~10042|x", 404),
        ("/api/TopClass_Learning/10042,1", 400),
        ("/api/Party/%00%ff", 404),
        ("/api/Party/10042/history", 501),
        ("/api/Party/99999/changelog", 404),
        ("/api/Party/10042/changelog/1", 501),
        ("/api/Party/_query", 501),
        ("/api/Party/_addMultiple", 501),
        ("/api", 404),
        ("/", 200),
        ("/somewhere", 404),
    ],
)
def test_an_invalid_address_is_a_fault_404_or_501(imis: httpx.Client, address: str, status: int) -> None:
    """A wrong number of identity elements is an ArgumentFault, an absent record 404, a missing operation 501."""
    response = imis.get(address)

    assert response.status_code == status
    if status == 400:
        assert response.text == "ArgumentFault: Incorrect number of identity element"


def test_wrong_identity_by_switch(imis: httpx.Client, switch: Any) -> None:
    """The status for a wrong number of identity elements can be 500."""
    switch(WrongIdentity=500)

    assert imis.get("/api/Activity/~1|2").status_code == 500


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("PATCH", "/api/Activity/880123", "GET, PUT, DELETE"),
        ("POST", "/api/Activity/880123", "GET, PUT, DELETE"),
        ("PUT", "/api/Activity", "GET, POST"),
        ("DELETE", "/api/Activity", "GET, POST"),
        ("GET", "/api/Party/_execute", "POST"),
        ("POST", "/api/metadata/Activity", "GET"),
    ],
)
def test_an_unsupported_method_is_405_with_allow(imis: httpx.Client, method: str, address: str, allowed: str) -> None:
    """A method that an address does not support is 405 with Allow and the error body of Web API."""
    response = imis.request(method, address, json=activity())

    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert response.json()["$type"] == "System.Web.Http.HttpError, System.Web.Http"


@pytest.mark.parametrize("entity", ["PersonSummary", "Nothing", "%20"])
def test_an_unknown_entity_is_501_or_404(imis: httpx.Client, switch: Any, entity: str) -> None:
    """An entity without a service is 501 with the vendor's reason phrase, or 404 by switch."""
    response = imis.get(f"/api/{entity}")
    assert (response.status_code, response.reason_phrase) == (501, "Service not implemented")
    switch(UnknownEntity=404)
    assert imis.get(f"/api/{entity}").status_code == 404


def test_an_unsupported_operation_is_501(imis: httpx.Client) -> None:
    """An operation that a known entity lacks is 501 with the vendor's reason phrase."""
    response = imis.delete("/api/Party/10042")

    assert (response.status_code, response.reason_phrase) == (501, "Operation not implemented")


@pytest.mark.parametrize("base", ["/Asi.Scheduler_Sandbox", "/iMIS0"])
def test_token_and_api_are_below_the_base_path(imis: httpx.Client, switch: Any, base: str) -> None:
    """With a base path, the token endpoint and the API are below it in any letter case, and no longer at the root."""
    switch(BasePath=base)

    assert imis.get(f"{base}/api/Party").status_code == 200
    assert imis.get(f"{base.upper()}/api/Party").status_code == 200
    assert imis.post(f"{base}/token", data={}).status_code == 400
    assert imis.get("/api/Party").status_code == 404
    assert imis.get("/_sandbox/state").status_code == 200


def test_version_20_2(imis: httpx.Client, switch: Any) -> None:
    """20.2 has no query endpoint and no UserSecurity, two more members in a page, and commas in identities."""
    imis.post("/api/TopClass_Learning", json=completion())
    switch(Version="20.2")
    query = {"QueryName": "$/LearningHub/Activities"}
    roles = {"OperationName": "GetUserRoles"}

    page = imis.get("/api/IQA", params=query).json()
    security = imis.post("/api/UserSecurity/_execute", json=roles)

    assert imis.get("/api/query", params=query).status_code == 404
    assert list(page)[-2:] == ["SyncRoot", "IsSynchronized"]
    assert (security.status_code, security.text) == (501, "There is no service defined for UserSecurity.")
    assert values_of(imis.get("/api/TopClass_Learning/10042,1").json())["Ordinal"] == 1


def test_roles_of_the_account(imis: httpx.Client) -> None:
    """GetUserRoles returns the roles of the account in a service response."""
    response = imis.post("/api/UserSecurity/_execute", json={"OperationName": "GetUserRoles"}).json()

    roles = [role["RoleName"] for role in response["Result"]["$values"]]
    assert (response["IsSuccessStatusCode"], "SysAdmin" in roles) == (True, True)


def test_success_statuses_by_switch(imis: httpx.Client, switch: Any) -> None:
    """POST, PUT and DELETE answer with the status and body that the switches set."""
    switch(PostStatus=202, PutStatus=201, PutBody="empty", DeleteStatus=204)

    assert imis.post("/api/Activity", json=activity()).status_code == 202
    changed = imis.put("/api/Activity/880123", json=activity())
    assert (changed.status_code, changed.content) == (201, b"")
    assert imis.delete("/api/Activity/880123").status_code == 204


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_account_may_perform_every_known_action(imis: httpx.Client, method: str) -> None:
    """_hasPermission is true for every known action and false for an unknown one, with GET and POST."""
    assert imis.request(method, "/api/Party/_haspermission/Update?Id=10042").json() is True
    assert imis.request(method, "/api/Party/_hasPermission/Fly?Id=10042").json() is False


def test_change_logs_are_empty_pages(imis: httpx.Client) -> None:
    """Contacts and rows have a change log that is an empty page and is read-only."""
    imis.post("/api/TopClass_Learning", json=completion())
    for record in ("Party/10042", "TopClass_Learning/~10042%7C1"):
        log = imis.get(f"/api/{record}/changelog?offset=0&limit=10").json()
        assert (log["Items"]["$values"], log["Limit"], log["TotalCount"]) == ([], 10, 0)
    assert imis.post("/api/Party/10042/changelog").status_code == 405
