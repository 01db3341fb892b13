"""
The access token: one for each account, shared by all requests that are sent with it.

Source: iMIS reference, section 2.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import msgspec

from learning_hub.connectors.base import CredentialsLock, LockCredentials, Recorder
from learning_hub.connectors.http import ExchangeResult, HttpRequest, HttpResponse
from learning_hub.connectors.imis.responses import (
    Failed,
    error_text,
    outcome_of,
    outcome_without_response,
    unreadable_response,
)
from learning_hub.connectors.imis.settings import (
    ClientCredentials,
    ImisCredentials,
    PasswordCredentials,
    read_credentials,
)
from learning_hub.connectors.imis.wire import Json, member, read_object
from learning_hub.connectors.outcomes import Postponed, Refused
from learning_hub.connectors.responses import is_page, retry_after_seconds

# A token is renewed this long before it expires, as other clients of iMIS do.
_EARLY_SECONDS = 10
# Used where the response does not say when the token expires.
_USUAL_SECONDS = 3600

Exchanger = Callable[[HttpRequest, Recorder], Awaitable[ExchangeResult]]


class Token(msgspec.Struct, frozen=True):
    """*value* goes into the Authorization header; it is valid until *ends_at* on the monotonic clock, in seconds."""

    value: str
    ends_at: float


class Tokens:
    """
    Signs in when needed, and remembers the token, or that the site refused the credentials.

    A refresh token may be valid for one use. So the stored credentials are locked, read, used, and replaced by those
    that the site returns, before any other process can use them.

    Args:
        base_url: Of the site.
        credentials: Of the account.
        exchange: Makes one HTTP exchange.
        lock_credentials: Locks the stored credentials; None where none are stored.
    """

    def __init__(
        self,
        base_url: str,
        credentials: ImisCredentials,
        exchange: Exchanger,
        lock_credentials: LockCredentials | None = None,
    ) -> None:
        self._url = f"{base_url}/token"
        self._credentials = credentials
        self._used_up: ImisCredentials | None = None
        self._exchange = exchange
        self._lock_credentials = lock_credentials
        self._sign_in_lock = asyncio.Lock()
        self._token: Token | None = None
        self._refused: Refused | None = None
        self._failed: tuple[float, Failed] | None = None
        self._under_way: set[asyncio.Task[str]] = set()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must appear nowhere: what the account signs in with, and its current token."""
        return (*_secrets_of(self._credentials), *([self._token.value] if self._token else []))

    @property
    def how_to_fix(self) -> str:
        """What a person must do about refused credentials, as sentences."""
        if isinstance(self._credentials, PasswordCredentials):
            which = "put the right Username and Password into the subscriber's Credentials"
        else:
            which = (
                "see under Settings > Contacts > Client applications that ClientId and ClientSecret are those of iMIS, "
                "sign in to the client application again, and put the new RefreshToken into the subscriber's "
                "Credentials"
            )
        return (
            f"If BaseUrl names the right site, {which}, then check again. Each check is one more sign-in, and too many "
            "may lock the account."
        )

    def forget(self) -> None:
        """Forget the token, and that the credentials were refused: the next request signs in again."""
        self._token = self._refused = self._failed = None

    async def current(self, recorder: Recorder, *, instead_of: str | None = None) -> str:
        """
        A token that is valid as far as is known; signs in where there is none.

        Callers that arrive during a sign-in wait and share its result.

        Args:
            recorder: Records a sign-in.
            instead_of: A token that the site denied; another one is returned.

        Raises:
            Failed: The sign-in was refused (`credentials_refused`, without asking again until `forget`) or postponed.
        """
        # The task finishes even if the caller is cancelled: by then the site may have replaced the refresh token.
        task = asyncio.ensure_future(self._current(recorder, instead_of))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for sign-ins to finish."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _done(self, task: asyncio.Task[str]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Reading the exception keeps asyncio from reporting it where no caller waits for it any more.
            task.exception()

    async def _current(self, recorder: Recorder, instead_of: str | None) -> str:
        asked_at = time.monotonic()
        async with self._sign_in_lock:
            if self._refused is not None:
                raise Failed(self._refused)
            if self._failed is not None and self._failed[0] >= asked_at:
                raise Failed(self._failed[1].outcome)
            token = self._token
            if token is None or token.value == instead_of or token.ends_at <= time.monotonic():
                token = await self._renewed(recorder)
            return token.value

    async def _renewed(self, recorder: Recorder) -> Token:
        self._token = None
        try:
            return await self._sign_in(recorder)
        except Failed as failed:
            self._failed = (time.monotonic(), failed)
            self._refused = _refusal(failed)
            raise

    async def _sign_in(self, recorder: Recorder) -> Token:
        if isinstance(self._credentials, PasswordCredentials) or self._lock_credentials is None:
            return await self._grant(recorder)
        async with self._lock_credentials() as lock:
            used = self._credentials = await self._newest(lock)
            try:
                return await self._grant(recorder, lock)
            except Failed as failed:
                if _refusal(failed) is None or (newest := await self._newest(lock)) == used:
                    raise
                # An administrator saved others meanwhile.
                self._credentials = newest
                return await self._grant(recorder, lock)

    async def _newest(self, lock: CredentialsLock) -> ImisCredentials:
        """The stored credentials; those in memory where these could not be stored when they were received."""
        stored = read_credentials(await lock.read())
        return self._credentials if stored == self._used_up else stored

    async def _grant(self, recorder: Recorder, lock: CredentialsLock | None = None) -> Token:
        asked_at = time.monotonic()
        result = await self._exchange(_sign_in_request(self._url, self._credentials), recorder)
        if not isinstance(result, HttpResponse):
            raise Failed(outcome_without_response(result, "sign in", wrote=False))
        if not result.is_success:
            raise Failed(_failure(result, self._url))
        document = read_object(result.body) or {}
        self._token = _read_token(result, document, asked_at)
        await self._keep_refresh_token(member(document, "refresh_token"), lock)
        return self._token

    async def _keep_refresh_token(self, new: object, lock: CredentialsLock | None) -> None:
        """Replace the refresh token, which may be valid for one use, by the one that the site returned."""
        used = self._credentials
        if not isinstance(used, ClientCredentials) or not isinstance(new, str) or new in ("", used.refresh_token):
            return
        self._used_up, self._credentials = used, msgspec.structs.replace(used, refresh_token=new)
        if lock is not None:
            await lock.keep(msgspec.to_builtins(self._credentials))


def _read_token(response: HttpResponse, document: Json, asked_at: float) -> Token:
    value = member(document, "access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        # The text is left out of the sentence: what cannot be read might still hold a token.
        outcome = unreadable_response(msgspec.structs.replace(response, text=""), "sign in", wrote=False)
        raise Failed(_away(outcome.code, f"{outcome.message} {_ADDRESS_ADVICE}", response))
    return Token(value, asked_at + _seconds(member(document, "expires_in")) - _EARLY_SECONDS)


def _refusal(failed: Failed) -> Refused | None:
    """The outcome where the site refused the credentials; None where it failed otherwise."""
    outcome = failed.outcome
    return outcome if isinstance(outcome, Refused) and outcome.code == "credentials_refused" else None


def _secrets_of(credentials: ImisCredentials) -> tuple[str, ...]:
    if isinstance(credentials, PasswordCredentials):
        return (credentials.password,)
    return (credentials.client_secret, credentials.refresh_token)


def _sign_in_request(url: str, credentials: ImisCredentials) -> HttpRequest:
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
    return HttpRequest(
        method="POST",
        url=url,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
        secrets=_secrets_of(credentials),
        body_is_secret=True,
    )


def _refused(response: HttpResponse, url: str) -> Refused:
    words = (error_text(response) or "no reason given").rstrip(".")
    if _speaks_as_imis(response):
        message = f"iMIS refused the sign-in: {response.status}, {words}."
    else:
        message = (
            f"What answers at {url} refused the sign-in and does not speak as iMIS does: {response.status}, {words}. "
            "Most likely BaseUrl in the subscriber's Settings is not the address of the iMIS site: correct it, and run "
            "the check."
        )
    return Refused(
        code="credentials_refused",
        # A gateway in front of the site may lock an account as well.
        message=f"{message} The hub does not try these credentials again by itself, so that the account is not locked "
        "out.",
    )


def _speaks_as_imis(response: HttpResponse) -> bool:
    """Whether it is an error of OAuth, or of the Web API of iMIS (sections 2.1 and 2.2)."""
    document = read_object(response.body) or {}
    return any(isinstance(member(document, name), str) for name in ("error", "Message"))


def _no_token_service(url: str) -> Refused:
    return Refused(
        code="refused",
        message=f"There is no {url}, so BaseUrl in the subscriber's Settings is not that of an iMIS site. Older sites "
        "have a path in it, such as https://members.example.org/Asi.Scheduler_iMIS.",
    )


def _failure(response: HttpResponse, url: str) -> Postponed | Refused:
    """
    The outcome of a sign-in that did not succeed.

    Without a token no request succeeds, so the subscriber is away as a whole unless it refused the sign-in. A redirect,
    or a page in place of JSON, is not of iMIS; 401 is taken at its word, since something may count failed sign-ins.
    """
    status = response.status
    if _passes_by_itself(response):
        return _away("subscriber_error", outcome_of(response, "sign in", wrote=False).message, response)
    if status == 401 or (status in (400, 403) and not is_page(response)):
        return _refused(response, url)
    if status == 404 and not is_page(response):
        return _no_token_service(url)
    outcome = outcome_of(response, "sign in", wrote=False)
    if isinstance(outcome, Refused):
        message = f"{outcome.message} {_ADDRESS_ADVICE}"
        is_away = status < 400 or status == 501 or is_page(response)
        return _away("subscriber_error", message, response) if is_away else Refused(code="refused", message=message)
    return outcome if outcome.code == "rate_limited" else _away(outcome.code, outcome.message, response)


def _passes_by_itself(response: HttpResponse) -> bool:
    """Whether the error of OAuth is one of the server, which some servers write with the status of a refusal."""
    document = read_object(response.text.encode()) or {}
    return member(document, "error") in ("server_error", "temporarily_unavailable")


def _away(code: str, message: str, response: HttpResponse) -> Postponed:
    return Postponed(
        code=code, message=message, retry_after_seconds=retry_after_seconds(response), subscriber_is_away=True
    )


_ADDRESS_ADVICE = "Check that BaseUrl in the subscriber's Settings is the address of the iMIS site itself."


def _seconds(said: object) -> float:
    """`expires_in`, which sites write as a number or as text."""
    try:
        seconds = float(str(said))
    except ValueError:
        return _USUAL_SECONDS
    return _USUAL_SECONDS if math.isnan(seconds) else seconds
