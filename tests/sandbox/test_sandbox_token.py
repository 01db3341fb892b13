"""The token endpoint (sections 2.1 to 2.3)."""

from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import password_grant, sign_in

from learning_hub.sandbox import seeds

DENIED = {
    "$type": "System.Web.Http.HttpError, System.Web.Http",
    "Message": "Authorization has been denied for this request.",
}


@pytest.mark.parametrize("path", ["/token", "/Token", "/TOKEN/"])
@pytest.mark.parametrize("keys", [str.lower, str.upper, str.title])
def test_path_and_form_keys_in_any_case(visitor: httpx.Client, path: str, keys: Any) -> None:
    """The letter case of path and form keys makes no difference."""
    form = {keys(name): value for name, value in password_grant().items()}

    response = visitor.post(path, data=form)

    assert response.status_code == 200
    assert response.json()["token_type"] == "bearer"


def test_a_token_response_has_user_and_lifetime(visitor: httpx.Client) -> None:
    """The response has the user, the lifetime in seconds with its start and end, and no refresh token."""
    response = visitor.post("/token", data=password_grant()).json()

    assert list(response) == ["access_token", "token_type", "expires_in", "userName", ".issued", ".expires"]
    assert response["userName"] == seeds.USERNAME
    lifetime = parsedate_to_datetime(response[".expires"]) - parsedate_to_datetime(response[".issued"])
    assert response["expires_in"] == lifetime.total_seconds() == 1209599


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"username": "somebody"}, {"password": ""}, {"password": "SANDBOX"}]
)
def test_wrong_credentials_are_counted(visitor: httpx.Client, changes: dict[str, str]) -> None:
    """Wrong credentials are invalid_grant and are counted."""
    response = visitor.post("/token", data=password_grant(**changes))

    assert response.status_code == 400
    assert response.json() == {
        "error": "invalid_grant",
        "error_description": "The user name or password is incorrect.",
    }
    assert visitor.get("/_sandbox/requests").json()["WrongPasswords"] == 1


@pytest.mark.parametrize("form", [{}, {"grant_type": "client_credentials"}, {"grant_type": ""}])
def test_an_unknown_grant_is_unsupported(visitor: httpx.Client, form: dict[str, str]) -> None:
    """A missing or unknown grant type is unsupported_grant_type."""
    response = visitor.post("/token", data=form)

    assert (response.status_code, response.json()) == (400, {"error": "unsupported_grant_type"})


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "Basic c2FuZGJveDpzYW5kYm94", "nonsense"])
@pytest.mark.parametrize("path", ["/api/Party", "/api/Nothing", "/api", "/api/Activity/1"])
def test_without_live_token(visitor: httpx.Client, path: str, header: str | None) -> None:
    """Without a live token every address of the API answers 401 with an HttpError."""
    headers = {} if header is None else {"Authorization": header}

    response = visitor.get(path, headers=headers)

    assert (response.status_code, response.json()) == (401, DENIED)
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_token_is_denied(imis: httpx.Client) -> None:
    """A revoked token is denied, and a new one works."""
    assert imis.get("/api/Party").status_code == 200
    imis.delete("/_sandbox/tokens")
    assert imis.get("/api/Party").status_code == 401
    imis.headers["Authorization"] = f"bearer {sign_in(imis)}"
    assert imis.get("/api/Party").status_code == 200


def test_live_tokens_can_be_made_to_expire(imis: httpx.Client) -> None:
    """Live tokens can be made to expire before the end of their lifetime."""
    imis.put("/_sandbox/tokens", json={"ExpiresInSeconds": 0})

    assert imis.get("/api/Party").status_code == 401


def test_lifetime_by_switch(visitor: httpx.Client, switch: Any) -> None:
    """A token expires after the lifetime that the switch sets, and the response has that lifetime."""
    switch(TokenLifetimeSeconds=0.000001)
    response = visitor.post("/token", data=password_grant()).json()
    header = {"Authorization": f"Bearer {response['access_token']}"}

    assert response["expires_in"] == 0
    assert visitor.get("/api/Party", headers=header).status_code == 401


def test_refresh_token_works_once(visitor: httpx.Client) -> None:
    """A refresh token works once; the response has the next one."""
    form = {
        "grant_type": "refresh_token",
        "client_id": seeds.CLIENT_ID,
        "client_secret": seeds.CLIENT_SECRET,
        "refresh_token": seeds.REFRESH_TOKEN,
        "redirect_uri": "ignored",
    }
    first = visitor.post("/token", data=form)
    again = visitor.post("/token", data=form)
    second = visitor.post("/token", data=form | {"refresh_token": first.json()["refresh_token"]})

    assert first.status_code == second.status_code == 200
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    header = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert visitor.get("/api/Party", headers=header).status_code == 200


def test_reusable_refresh_token_by_switch(visitor: httpx.Client, switch: Any) -> None:
    """By switch, a refresh token works any number of times."""
    switch(RefreshTokenSingleUse=False)
    form = {
        "grant_type": "refresh_token",
        "client_id": seeds.CLIENT_ID,
        "client_secret": seeds.CLIENT_SECRET,
        "refresh_token": visitor.post("/_sandbox/refresh-tokens").json()["RefreshToken"],
    }

    assert [visitor.post("/token", data=form).status_code for _ in range(2)] == [200, 200]


def test_a_client_with_a_wrong_secret_is_invalid(visitor: httpx.Client) -> None:
    """A client application with a wrong secret is invalid_client."""
    form = {
        "grant_type": "refresh_token",
        "client_id": seeds.CLIENT_ID,
        "client_secret": "wrong",
        "refresh_token": seeds.REFRESH_TOKEN,
    }

    assert visitor.post("/token", data=form).json() == {"error": "invalid_client"}


def test_wrong_passwords_in_a_row_lock_the_account(visitor: httpx.Client, switch: Any) -> None:
    """By switch, the right password is rejected after several wrong ones in a row."""
    switch(LockOutAfter=2)
    for _ in range(2):
        visitor.post("/token", data=password_grant(password="wrong"))

    assert visitor.post("/token", data=password_grant()).status_code == 400


def test_the_account_can_get_another_password(visitor: httpx.Client) -> None:
    """The account can be given another password."""
    visitor.put("/_sandbox/account", json={"Password": "new & ü+%"})

    assert visitor.post("/token", data=password_grant()).status_code == 400
    assert visitor.post("/token", data=password_grant(password="new & ü+%")).status_code == 200


def test_token_response_by_switches(visitor: httpx.Client, switch: Any) -> None:
    """The unconfirmed parts of the token response are switches."""
    switch(ExpiresInAsText=True, TokenDates=False, RefreshTokenForPassword=True, WwwAuthenticate=False)

    response = visitor.post("/token", data=password_grant()).json()

    assert list(response) == ["access_token", "token_type", "expires_in", "userName", "refresh_token"]
    assert response["expires_in"] == "1209599"
    assert "WWW-Authenticate" not in visitor.get("/api/Party").headers
