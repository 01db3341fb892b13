"""
The access token: one for an account, shared by all that send with it at the same time.

Source: iMIS reference, section 2.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import msgspec

from learning_hub.connectors.base import Journal, Postponed, Refused
from learning_hub.connectors.http import Answer, Request, Result
from learning_hub.connectors.imis.answers import Failed, error_text, outcome_of, rubbish, unanswered
from learning_hub.connectors.imis.settings import ClientCredentials, Credentials, PasswordCredentials
from learning_hub.connectors.imis.wire import member, read_object

# Renewed this long before it ends, as other clients of iMIS do.
_EARLY_SECONDS = 10
# Where the answer does not say how long the token lasts.
_USUAL_SECONDS = 3600

Exchanger = Callable[[Request, Journal], Awaitable[Result]]
KeepRefreshToken = Callable[[str], Awaitable[None]]


class Token(msgspec.Struct, frozen=True):
    """*value* goes into the Authorization header; good until *ends_at* on the monotonic clock, seconds."""

    value: str
    ends_at: float


class Tokens:
    """
    Signs in when there is need and remembers the token, and remembers that the site refused the credentials.

    Args:
        base_url: Of the site.
        credentials: Of the account.
        exchange: Makes one HTTP exchange.
        keep_refresh_token: Is told when the site gave a new refresh token in place of the one used.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        exchange: Exchanger,
        keep_refresh_token: KeepRefreshToken | None = None,
    ) -> None:
        self._url = f"{base_url}/token"
        self._credentials = credentials
        self._exchange = exchange
        self._keep_refresh_token = keep_refresh_token
        self._turn = asyncio.Lock()
        self._token: Token | None = None
        self._refused: Refused | None = None
        self._failed: tuple[float, Failed] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must stand nowhere: what the account signs in with, and its token of now."""
        return (*_secrets_of(self._credentials), *([self._token.value] if self._token else []))

    def forget(self) -> None:
        """Forget the token, and that the credentials were refused: the next call signs in anew."""
        self._token = self._refused = self._failed = None

    async def current(self, journal: Journal, *, instead_of: str | None = None) -> str:
        """
        A token that is good as far as is known; signs in where there is none.

        Callers that arrive while one signs in wait and share what comes of it.

        Args:
            journal: Takes a sign-in down.
            instead_of: A token that the site denied; another one is given.

        Raises:
            Failed: There is none: refused (`credentials_refused`, without asking again until `forget`) or
                postponed.
        """
        asked_at = time.monotonic()
        async with self._turn:
            if self._refused is not None:
                raise Failed(self._refused)
            if self._failed is not None and self._failed[0] >= asked_at:
                raise Failed(self._failed[1].outcome)
            token = self._token
            if token is None or token.value == instead_of or token.ends_at <= time.monotonic():
                token = await self._renewed(journal)
            return token.value

    async def _renewed(self, journal: Journal) -> Token:
        self._token = None
        try:
            self._token = await self._sign_in(journal)
        except Failed as failed:
            self._failed = (time.monotonic(), failed)
            raise
        return self._token

    async def _sign_in(self, journal: Journal) -> Token:
        asked_at = time.monotonic()
        result = await self._exchange(_sign_in_request(self._url, self._credentials), journal)
        if not isinstance(result, Answer):
            raise Failed(unanswered(result, "sign in", wrote=False))
        if result.status in (400, 401, 403):
            self._refused = _refused(result)
            raise Failed(self._refused)
        if result.status == 404:
            raise Failed(_no_token_service(self._url))
        if result.status >= 300:
            raise Failed(_elsewhere(outcome_of(result, "sign in", wrote=False)))
        return await self._read(result, asked_at)

    async def _read(self, answer: Answer, asked_at: float) -> Token:
        document = read_object(answer.body) or {}
        value = member(document, "access_token")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
            # Not told in words: what cannot be read might still hold a token.
            raise Failed(rubbish(msgspec.structs.replace(answer, text=""), "sign in", wrote=False))
        await self._take_refresh_token(member(document, "refresh_token"))
        return Token(value, asked_at + _seconds(member(document, "expires_in")) - _EARLY_SECONDS)

    async def _take_refresh_token(self, new: object) -> None:
        """A refresh token may be good for once only, so a new one takes the place of the old."""
        if not isinstance(self._credentials, ClientCredentials) or not isinstance(new, str) or not new:
            return
        if new != self._credentials.refresh_token:
            self._credentials = msgspec.structs.replace(self._credentials, refresh_token=new)
            if self._keep_refresh_token is not None:
                await self._keep_refresh_token(new)


def _secrets_of(credentials: Credentials) -> tuple[str, ...]:
    if isinstance(credentials, PasswordCredentials):
        return (credentials.password,)
    return (credentials.client_secret, credentials.refresh_token)


def _sign_in_request(url: str, credentials: Credentials) -> Request:
    if isinstance(credentials, PasswordCredentials):
        form = {
            "grant_type": "password",
            "username": credentials.username,
            "password": credentials.password,
        }
    else:
        form = {
            "grant_type": "refresh_token",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "refresh_token": credentials.refresh_token,
        }
    return Request(
        method="POST",
        url=url,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
        secrets=_secrets_of(credentials),
        body_is_secret=True,
    )


def _refused(answer: Answer) -> Refused:
    words = error_text(answer) or "no reason given"
    return Refused(
        code="credentials_refused",
        message=f"iMIS refused the sign-in: {answer.status}, {words.rstrip('.')}. "
        "The hub does not try these credentials again by itself, so that the account is not locked out.",
    )


def _no_token_service(url: str) -> Refused:
    return Refused(
        code="refused",
        message=f"There is no {url}, so BaseUrl in the subscriber's Settings is not that of an iMIS site. Older sites "
        "have a path in it, such as https://members.example.org/Asi.Scheduler_iMIS.",
    )


def _elsewhere(outcome: Postponed | Refused) -> Postponed | Refused:
    """Where nothing can be signed in to, the usual reason is the address."""
    if isinstance(outcome, Postponed):
        return outcome
    advice = "Check that BaseUrl in the subscriber's Settings is the address of the iMIS site itself."
    return msgspec.structs.replace(outcome, message=f"{outcome.message} {advice}")


def _seconds(said: object) -> float:
    """`expires_in`, which sites write as a number or as text."""
    try:
        return float(str(said))
    except ValueError:
        return _USUAL_SECONDS
