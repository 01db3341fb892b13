"""The token endpoint: one account, bearer tokens, refresh tokens (section 2)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from learning_hub.sandbox import seeds
from learning_hub.sandbox.errors import NotAuthenticated, OAuthError
from learning_hub.sandbox.switches import Switches


@dataclass(slots=True)
class Account:
    """
    The only account of the sandbox.

    Attributes:
        roles: Without a staff role the account can read user-defined data, but not write it.
        wrong_passwords: All failed sign-ins.
        wrong_in_a_row: Failed sign-ins since the last successful one.
    """

    username: str
    password: str
    roles: tuple[str, ...] = seeds.ROLES
    wrong_passwords: int = 0
    wrong_in_a_row: int = 0

    @property
    def is_staff(self) -> bool:
        return any(word in role.casefold() for role in self.roles for word in ("sysadmin", "staff"))

    def check(self, username: str, password: str, switches: Switches) -> None:
        """
        Check the credentials of a sign-in and count it if it fails.

        Raises:
            OAuthError: The credentials are wrong, or the account is locked (switch LockOutAfter).
        """
        is_locked = 0 < switches.lock_out_after <= self.wrong_in_a_row
        is_correct = username.casefold() == self.username.casefold() and password == self.password
        if is_locked or not is_correct:
            self.wrong_passwords += 1
            self.wrong_in_a_row += 1
            raise OAuthError("invalid_grant", switches.sign_in_error_text or None)
        self.wrong_in_a_row = 0


@dataclass(slots=True)
class Tokens:
    """Access tokens with their expiry, UTC, and valid refresh tokens."""

    live: dict[str, datetime] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=lambda: {seeds.REFRESH_TOKEN})

    def issue(self, now: datetime, switches: Switches) -> str:
        """A new access token with the lifetime of the switch TokenLifetimeSeconds; drops expired tokens."""
        self.live = {token: expiry for token, expiry in self.live.items() if expiry > now}
        token = secrets.token_urlsafe(48)
        self.live[token] = now + timedelta(seconds=switches.token_lifetime_seconds)
        return token

    def issue_refresh(self) -> str:
        token = secrets.token_urlsafe(48)
        self.refresh.add(token)
        return token

    def check(self, authorization: str | None, now: datetime) -> None:
        """
        Check that the header has a live token.

        Raises:
            NotAuthenticated: The header is missing or malformed, or the token is unknown, expired or revoked.
        """
        scheme, _, token = (authorization or "").partition(" ")
        expiry = self.live.get(token.strip()) if scheme.casefold() == "bearer" else None
        if expiry is None or expiry <= now:
            raise NotAuthenticated

    def set_expiry(self, expiry: datetime) -> None:
        """Let every live token expire at *expiry*, whatever `expires_in` said."""
        self.live = dict.fromkeys(self.live, expiry)


def grant(form: Mapping[str, str], account: Account, tokens: Tokens, now: datetime, switches: Switches) -> Any:
    """
    The JSON response of `POST /token` to *form*, whose keys are in lower case.

    Raises:
        OAuthError: The grant type is unknown, or the credentials are wrong.
    """
    grant_type = form.get("grant_type", "")
    if grant_type == "password":
        account.check(form.get("username", ""), form.get("password", ""), switches)
        refresh = tokens.issue_refresh() if switches.refresh_token_for_password else None
    elif grant_type == "refresh_token":
        refresh = _exchange_refresh_token(form, tokens, switches)
    else:
        raise OAuthError("unsupported_grant_type")
    return _token_response(account, tokens.issue(now, switches), refresh, now, switches)


def _exchange_refresh_token(form: Mapping[str, str], tokens: Tokens, switches: Switches) -> str | None:
    """Check a refresh token and its client; return the refresh token of the response, if any."""
    is_client = form.get("client_id") == seeds.CLIENT_ID and form.get("client_secret") == seeds.CLIENT_SECRET
    if not is_client:
        raise OAuthError("invalid_client")
    used = form.get("refresh_token", "")
    if used not in tokens.refresh:
        raise OAuthError("invalid_grant")
    if switches.refresh_token_single_use:
        tokens.refresh.discard(used)
    if not switches.refresh_token_returned:
        return None
    return tokens.issue_refresh() if switches.refresh_token_single_use else used


def _token_response(
    account: Account, token: str, refresh: str | None, now: datetime, switches: Switches
) -> dict[str, Any]:
    seconds = int(switches.token_lifetime_seconds)
    body: dict[str, Any] = {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": str(seconds) if switches.expires_in_as_text else seconds,
        "userName": account.username,
    }
    if refresh is not None:
        body["refresh_token"] = refresh
    if switches.token_dates:
        expiry = now + timedelta(seconds=switches.token_lifetime_seconds)
        body[".issued"] = format_datetime(now, usegmt=True)
        body[".expires"] = format_datetime(expiry, usegmt=True)
    return body
