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
    The account of the sandbox; *wrong_passwords* counts all, *wrong_in_a_row* since the last right one.

    Without a role of staff in *roles* it reads, and writes no user-defined data.
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
        Returns if these are the credentials.

        Raises:
            OAuthError: They are not, or the account is locked (switch LockOutAfter).
        """
        is_locked = 0 < switches.lock_out_after <= self.wrong_in_a_row
        is_right = username.casefold() == self.username.casefold() and password == self.password
        if is_locked or not is_right:
            self.wrong_passwords += 1
            self.wrong_in_a_row += 1
            raise OAuthError("invalid_grant", switches.sign_in_error_text or None)
        self.wrong_in_a_row = 0


@dataclass(slots=True)
class Tokens:
    """Live tokens with the time at which each ends, UTC, and refresh tokens that still work."""

    live: dict[str, datetime] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=lambda: {seeds.REFRESH_TOKEN})

    def issue(self, now: datetime, switches: Switches) -> str:
        """A new token that lives as long as the switch says; ended ones are dropped."""
        self.live = {token: end for token, end in self.live.items() if end > now}
        token = secrets.token_urlsafe(48)
        self.live[token] = now + timedelta(seconds=switches.token_lifetime_seconds)
        return token

    def issue_refresh(self) -> str:
        token = secrets.token_urlsafe(48)
        self.refresh.add(token)
        return token

    def check(self, authorization: str | None, now: datetime) -> None:
        """
        Returns if the header names a live token.

        Raises:
            NotAuthenticated: It is missing, malformed, unknown, ended or revoked.
        """
        scheme, _, token = (authorization or "").partition(" ")
        end = self.live.get(token.strip()) if scheme.casefold() == "bearer" else None
        if end is None or end <= now:
            raise NotAuthenticated

    def end_all(self, end: datetime) -> None:
        """Let every live token end at *end*, whatever `expires_in` promised."""
        self.live = dict.fromkeys(self.live, end)


def grant(form: Mapping[str, str], account: Account, tokens: Tokens, now: datetime, switches: Switches) -> Any:
    """
    The answer of `POST /token` to a form; its keys are in lower case.

    Raises:
        OAuthError: The grant is unknown, or its credentials are wrong.
    """
    kind = form.get("grant_type", "")
    if kind == "password":
        account.check(form.get("username", ""), form.get("password", ""), switches)
        refresh = tokens.issue_refresh() if switches.refresh_token_for_password else None
    elif kind == "refresh_token":
        refresh = _renew(form, tokens, switches)
    else:
        raise OAuthError("unsupported_grant_type")
    return _token_answer(account, tokens.issue(now, switches), refresh, now, switches)


def _renew(form: Mapping[str, str], tokens: Tokens, switches: Switches) -> str | None:
    """Check a refresh token and its client; the refresh token to answer with, if any."""
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


def _token_answer(
    account: Account, token: str, refresh: str | None, now: datetime, switches: Switches
) -> dict[str, Any]:
    seconds = int(switches.token_lifetime_seconds)
    answer: dict[str, Any] = {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": str(seconds) if switches.expires_in_as_text else seconds,
        "userName": account.username,
    }
    if refresh is not None:
        answer["refresh_token"] = refresh
    if switches.token_dates:
        end = now + timedelta(seconds=switches.token_lifetime_seconds)
        answer[".issued"] = format_datetime(now, usegmt=True)
        answer[".expires"] = format_datetime(end, usegmt=True)
    return answer
