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
def test_path_and_form_keys_are_taken_in_any_case(visitor: httpx.Client, path: str, keys: Any) -> None:
    """A token is given whatever the letter case of path and form keys."""
    form = {keys(name): value for name, value in password_grant().items()}

    answer = visitor.post(path, data=form)

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"


def test_token_answer(visitor: httpx.Client) -> None:
    """The answer names the user, the lifetime in seconds and both ends of it, and has no refresh token."""
    answer = visitor.post("/token", data=password_grant()).json()

    assert list(answer) == ["access_token", "token_type", "expires_in", "userName", ".issued", ".expires"]
    assert answer["userName"] == seeds.USERNAME
    lifetime = parsedate_to_datetime(answer[".expires"]) - parsedate_to_datetime(answer[".issued"])
    assert answer["expires_in"] == lifetime.total_seconds() == 1209599


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"username": "somebody"}, {"password": ""}, {"password": "SANDBOX"}]
)
def test_wrong_credentials(visitor: httpx.Client, changes: dict[str, str]) -> None:
    """Wrong credentials are invalid_grant, and are counted in the journal."""
    answer = visitor.post("/token", data=password_grant(**changes))

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_grant",
        "error_description": "The user name or password is incorrect.",
    }
    assert visitor.get("/_sandbox/requests").json()["WrongPasswords"] == 1


@pytest.mark.parametrize("form", [{}, {"grant_type": "client_credentials"}, {"grant_type": ""}])
def test_unknown_grant(visitor: httpx.Client, form: dict[str, str]) -> None:
    """A grant that is missing or unknown is unsupported_grant_type."""
    answer = visitor.post("/token", data=form)

    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "Basic c2FuZGJveDpzYW5kYm94", "nonsense"])
@pytest.mark.parametrize("path", ["/api/Party", "/api/Nothing", "/api", "/api/Activity/1"])
def test_without_live_token(visitor: httpx.Client, path: str, header: str | None) -> None:
    """Every address of the API answers 401 in the shape of Web API without a live token."""
    headers = {} if header is None else {"Authorization": header}

    answer = visitor.get(path, headers=headers)

    assert (answer.status_code, answer.json()) == (401, DENIED)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_revoked_token(imis: httpx.Client) -> None:
    """A revoked token is denied, and a new one works."""
    assert imis.get("/api/Party").status_code == 200
    imis.delete("/_sandbox/tokens")
    assert imis.get("/api/Party").status_code == 401
    imis.headers["Authorization"] = f"bearer {sign_in(imis)}"
    assert imis.get("/api/Party").status_code == 200


def test_forced_expiry(imis: httpx.Client) -> None:
    """Live tokens can be made to end before the time that was promised."""
    imis.put("/_sandbox/tokens", json={"ExpiresInSeconds": 0})

    assert imis.get("/api/Party").status_code == 401


def test_lifetime_is_a_switch(visitor: httpx.Client, switch: Any) -> None:
    """A token ends after the lifetime that the switch sets, and the answer says so."""
    switch(TokenLifetimeSeconds=0.000001)
    answer = visitor.post("/token", data=password_grant()).json()
    header = {"Authorization": f"Bearer {answer['access_token']}"}

    assert answer["expires_in"] == 0
    assert visitor.get("/api/Party", headers=header).status_code == 401


def test_refresh_token_works_once(visitor: httpx.Client) -> None:
    """A refresh token is good for one exchange, which answers with the next one."""
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


def test_refresh_token_may_be_used_again(visitor: httpx.Client, switch: Any) -> None:
    """With the switch, a refresh token works for as long as one likes."""
    switch(RefreshTokenSingleUse=False)
    form = {
        "grant_type": "refresh_token",
        "client_id": seeds.CLIENT_ID,
        "client_secret": seeds.CLIENT_SECRET,
        "refresh_token": visitor.post("/_sandbox/refresh-tokens").json()["RefreshToken"],
    }

    assert [visitor.post("/token", data=form).status_code for _ in range(2)] == [200, 200]


def test_unknown_client(visitor: httpx.Client) -> None:
    """A client application with a wrong secret is invalid_client."""
    form = {
        "grant_type": "refresh_token",
        "client_id": seeds.CLIENT_ID,
        "client_secret": "wrong",
        "refresh_token": seeds.REFRESH_TOKEN,
    }

    assert visitor.post("/token", data=form).json() == {"error": "invalid_client"}


def test_lock_out(visitor: httpx.Client, switch: Any) -> None:
    """With the switch, the right password no longer helps after some wrong ones in a row."""
    switch(LockOutAfter=2)
    for _ in range(2):
        visitor.post("/token", data=password_grant(password="wrong"))

    assert visitor.post("/token", data=password_grant()).status_code == 400


def test_changed_password(visitor: httpx.Client) -> None:
    """The account can be given another password."""
    visitor.put("/_sandbox/account", json={"Password": "new & ü+%"})

    assert visitor.post("/token", data=password_grant()).status_code == 400
    assert visitor.post("/token", data=password_grant(password="new & ü+%")).status_code == 200


def test_spellings_of_the_answer(visitor: httpx.Client, switch: Any) -> None:
    """The unconfirmed parts of the token answer are switches."""
    switch(ExpiresInAsText=True, TokenDates=False, RefreshTokenForPassword=True, WwwAuthenticate=False)

    answer = visitor.post("/token", data=password_grant()).json()

    assert list(answer) == ["access_token", "token_type", "expires_in", "userName", "refresh_token"]
    assert answer["expires_in"] == "1209599"
    assert "WWW-Authenticate" not in visitor.get("/api/Party").headers
