"""
The access token: one for an account, shared by all that send with it at the same time.

Source: iMIS reference, section 2.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import msgspec

from learning_hub.connectors.base import (
    CredentialsLock,
    Postponed,
    Recorder,
    Refused,
    TakeTurn,
)
from learning_hub.connectors.http import Answer, Request, Result
from learning_hub.connectors.imis.answers import Failed, error_text, outcome_of, rubbish, unanswered
from learning_hub.connectors.imis.settings import (
    ClientCredentials,
    Credentials,
    PasswordCredentials,
    read_credentials,
)
from learning_hub.connectors.imis.wire import Json, member, read_object

# Renewed this long before it ends, as other clients of iMIS do.
_EARLY_SECONDS = 10
# Where the answer does not say how long the token lasts.
_USUAL_SECONDS = 3600

Exchanger = Callable[[Request, Recorder], Awaitable[Result]]


class Token(msgspec.Struct, frozen=True):
    """*value* goes into the Authorization header; good until *ends_at* on the monotonic clock, seconds."""

    value: str
    ends_at: float


class Tokens:
    """
    Signs in when there is need and remembers the token, and remembers that the site refused the credentials.

    A refresh token may be good for once, so it is used by one process at a time, as it is stored by then, and the
    one that comes back is stored before anybody else has a turn.

    Args:
        base_url: Of the site.
        credentials: Of the account.
        exchange: Makes one HTTP exchange.
        lock_credentials: Gives a turn at renewing the refresh token that is stored; None where none is.
    """

    def __init__(
        self, base_url: str, credentials: Credentials, exchange: Exchanger, lock_credentials: TakeTurn | None = None
    ) -> None:
        self._url = f"{base_url}/token"
        self._credentials = credentials
        self._used_up: Credentials | None = None
        self._exchange = exchange
        self._take_turn = lock_credentials
        self._turn = asyncio.Lock()
        self._token: Token | None = None
        self._refused: Refused | None = None
        self._failed: tuple[float, Failed] | None = None
        self._under_way: set[asyncio.Task[str]] = set()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must stand nowhere: what the account signs in with, and its token of now."""
        return (*_secrets_of(self._credentials), *([self._token.value] if self._token else []))

    @property
    def how_to_mend(self) -> str:
        """What a person does about credentials that were refused, in a sentence."""
        if isinstance(self._credentials, PasswordCredentials):
            which = "put the right Username and Password into the subscriber's Credentials"
        else:
            which = (
                "see under Settings > Contacts > Client applications that ClientId and ClientSecret are those of iMIS, "
                "sign in to the client application anew, and put the RefreshToken of now into the subscriber's "
                "Credentials"
            )
        return (
            f"If BaseUrl names the right site, {which}, then check again. Each check is one more sign-in, and too many "
            "may lock the account."
        )

    def forget(self) -> None:
        """Forget the token, and that the credentials were refused: the next call signs in anew."""
        self._token = self._refused = self._failed = None

    async def current(self, recorder: Recorder, *, instead_of: str | None = None) -> str:
        """
        A token that is good as far as is known; signs in where there is none.

        Callers that arrive while one signs in wait and share what comes of it.

        Args:
            recorder: Takes a sign-in down.
            instead_of: A token that the site denied; another one is given.

        Raises:
            Failed: There is none: refused (`credentials_refused`, without asking again until `forget`) or
                postponed.
        """
        # Gets to its end even if the caller is cancelled: by then a refresh token may be used up for another one.
        task = asyncio.ensure_future(self._current(recorder, instead_of))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let sign-ins get to their end."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _done(self, task: asyncio.Task[str]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Looked at, lest it be reported where nobody waits for it any more.
            task.exception()

    async def _current(self, recorder: Recorder, instead_of: str | None) -> str:
        asked_at = time.monotonic()
        async with self._turn:
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
        if isinstance(self._credentials, PasswordCredentials) or self._take_turn is None:
            return await self._grant(recorder)
        async with self._take_turn() as turn:
            used = self._credentials = await self._newest(turn)
            try:
                return await self._grant(recorder, turn)
            except Failed as failed:
                if _refusal(failed) is None or (newest := await self._newest(turn)) == used:
                    raise
                # An administrator gave others meanwhile.
                self._credentials = newest
                return await self._grant(recorder, turn)

    async def _newest(self, turn: CredentialsLock) -> Credentials:
        """The credentials as they are stored; those here where they could not be stored in their time."""
        stored = read_credentials(await turn.read())
        return self._credentials if stored == self._used_up else stored

    async def _grant(self, recorder: Recorder, turn: CredentialsLock | None = None) -> Token:
        asked_at = time.monotonic()
        result = await self._exchange(_sign_in_request(self._url, self._credentials), recorder)
        if not isinstance(result, Answer):
            raise Failed(unanswered(result, "sign in", wrote=False))
        if result.status in (400, 401, 403):
            raise Failed(_refused(result, self._url))
        if result.status == 404:
            raise Failed(_no_token_service(self._url))
        if result.status >= 300:
            raise Failed(_elsewhere(outcome_of(result, "sign in", wrote=False)))
        document = read_object(result.body) or {}
        self._token = _read_token(result, document, asked_at)
        await self._take_refresh_token(member(document, "refresh_token"), turn)
        return self._token

    async def _take_refresh_token(self, new: object, turn: CredentialsLock | None) -> None:
        """A refresh token may be good for once only, so a new one takes the place of the old."""
        used = self._credentials
        if not isinstance(used, ClientCredentials) or not isinstance(new, str) or new in ("", used.refresh_token):
            return
        self._used_up, self._credentials = used, msgspec.structs.replace(used, refresh_token=new)
        if turn is not None:
            await turn.keep(msgspec.to_builtins(self._credentials))


def _read_token(answer: Answer, document: Json, asked_at: float) -> Token:
    value = member(document, "access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        # Not told in words: what cannot be read might still hold a token.
        raise Failed(rubbish(msgspec.structs.replace(answer, text=""), "sign in", wrote=False))
    return Token(value, asked_at + _seconds(member(document, "expires_in")) - _EARLY_SECONDS)


def _refusal(failed: Failed) -> Refused | None:
    """The outcome where the site refused the credentials; None where it failed otherwise."""
    outcome = failed.outcome
    return outcome if isinstance(outcome, Refused) and outcome.code == "credentials_refused" else None


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


def _refused(answer: Answer, url: str) -> Refused:
    words = (error_text(answer) or "no reason given").rstrip(".")
    if _speaks_as_imis(answer):
        message = f"iMIS refused the sign-in: {answer.status}, {words}."
    else:
        message = (
            f"What answers at {url} refused the sign-in and does not speak as iMIS does: {answer.status}, {words}. "
            "Most likely BaseUrl in the subscriber's Settings is not the address of the iMIS site: correct it, and run "
            "the check."
        )
    return Refused(
        code="credentials_refused",
        # Also by something else, as by a gateway in front of the site, an account may be locked out.
        message=f"{message} The hub does not try these credentials again by itself, so that the account is not locked "
        "out.",
    )


def _speaks_as_imis(answer: Answer) -> bool:
    """Whether it is an error as OAuth has them, or as the Web API of iMIS writes them (sections 2.1 and 2.2)."""
    document = read_object(answer.body) or {}
    return any(isinstance(member(document, name), str) for name in ("error", "Message"))


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
        seconds = float(str(said))
    except ValueError:
        return _USUAL_SECONDS
    return _USUAL_SECONDS if math.isnan(seconds) else seconds
