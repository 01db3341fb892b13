"""
The outgoing HTTP client: connects to nothing the guard forbids, waits no longer than told, tells what is known.

Every connector sends through `exchange`, which makes one HTTP exchange and answers with one of three values.
What matters most is whether the request may have arrived: `NotSent` surely did not, `OutcomeUnknown` may have.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, quote_plus

import httpcore
import httpx
import msgspec

from learning_hub.connectors.addresses import Address, Guard
from learning_hub.connectors.base import Exchange, Journal
from learning_hub.model.clock import now

MAX_BODY_BYTES = 4 * 1024 * 1024
KEPT_BODY_BYTES = 64 * 1024
MASK = "***"

# Shorter than common servers keep an idle line open, so that a request is rarely sent into a closing one.
_IDLE_SECONDS = 3
# For one of several addresses of a name, before the next one is tried.
_ADDRESS_SECONDS = 3
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}


class TargetNotAllowed(Exception):
    """The address, or what its name resolves to, may not be connected to; nothing was sent."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """
    One HTTP request.

    *wrote* is true where it is meant to change something at the subscriber. *secrets* are texts (token,
    password) that are masked wherever they occur in what is kept; *body_is_secret* keeps neither the body nor
    the body of a successful answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    wrote: bool = False
    secrets: tuple[str, ...] = ()
    body_is_secret: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; header names are in lower case. Of a body over 4 MiB the beginning, *is_cut* then."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was sent: no such name, no connection, no TLS, or no time left before. *code* as the hub's."""

    code: str
    message: str


class OutcomeUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """It was sent, at least in part, and no whole answer came. *code* as the hub's."""

    code: str
    message: str


Result = Answer | NotSent | OutcomeUnknown


def open_client(guard: Guard, *, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """
    A client for `exchange`.

    It connects to judged targets alone, follows no redirects, takes no proxies or passwords from the
    environment, and keeps no cookies.

    Args:
        guard: Judges every address before it is connected to.
        tls: Which certificates to trust; None for the public authorities.
    """
    # At INFO the libraries write whole addresses into the log, and in these stand people's e-mail addresses.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trusted = tls or _public_authorities()
    return httpx.AsyncClient(
        mounts={
            "https://": _GuardedTransport(guard, trusted, is_https=True),
            "http://": _GuardedTransport(guard, trusted, is_https=False),
        },
        transport=_NoTransport(),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - `exchange` limits the whole of an exchange, which no setting here does.
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "learning-hub", "Accept-Encoding": "identity"},
    )


async def exchange(client: httpx.AsyncClient, request: Request, journal: Journal, *, timeout_seconds: float) -> Result:
    """
    Make one exchange and take it down in *journal*, secrets removed.

    Args:
        client: From `open_client`.
        request: What to send.
        journal: Takes the exchange down, whatever came of it.
        timeout_seconds: For the whole, from looking up the name to the last byte of the answer.

    Raises:
        TargetNotAllowed: The guard forbids the target; nothing was sent and nothing is taken down.
    """
    was_sent = False

    async def notice(event: str, _: Mapping[str, Any]) -> None:
        nonlocal was_sent
        was_sent = was_sent or event.endswith("send_request_headers.started")

    started = now()
    result: Result | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            result = await _answer_to(client, request, notice)
    except TimeoutError:
        result = _failed("timed_out", f"no answer within {timeout_seconds:g} seconds", was_sent=was_sent)
    except httpx.InvalidURL as error:
        raise TargetNotAllowed(f"The address cannot be used: {error}.") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        result = _failed("connection_failed", _in_words(error), was_sent=was_sent)
    finally:
        if result is not None or was_sent:
            journal.record(_kept(request, result, started), wrote=request.wrote)
    return result


async def _answer_to(client: httpx.AsyncClient, request: Request, notice: Any) -> Answer:
    """
    The whole answer, read up to the limit.

    A body longer than that is left where it is and the line closed.
    """
    async with client.stream(
        request.method,
        request.url,
        headers=dict(request.headers),
        content=request.body,
        extensions={"trace": notice},
    ) as response:
        body, is_cut = bytearray(), False
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                is_cut = True
                break
        return Answer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body[:MAX_BODY_BYTES]),
            is_cut=is_cut,
        )


def _failed(code: str, words: str, *, was_sent: bool) -> NotSent | OutcomeUnknown:
    if was_sent:
        return OutcomeUnknown(code=code, message=f"The request was sent, but {words}.")
    return NotSent(code=code, message=f"Nothing was sent: {words}.")


def _in_words(error: Exception) -> str:
    cause = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, httpx.RemoteProtocolError):
        return f"the line was cut or the answer is no HTTP ({cause})"
    if isinstance(error, httpx.ReadError):
        return "the line was cut before the whole answer came"
    return f"the connection failed ({cause})"


class _NoTransport(httpx.AsyncBaseTransport):
    """For schemes that are neither https nor http."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise TargetNotAllowed(f"The address must begin with https://, not {request.url.scheme}://.")


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """The usual transport, but its connections are made by `_GuardedNetwork`."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext, *, is_https: bool) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no argument for this; httpcore, which it is made of, has.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=20,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_GuardedNetwork(guard, is_https=is_https),
        )


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """
    Resolves a name once, judges every address it has, and connects to judged ones by number.

    Nothing resolves the name a second time, so it cannot be one thing when judged and another when connected
    to. Above, TLS and the Host header still go by the name.
    """

    def __init__(self, guard: Guard, *, is_https: bool) -> None:
        self._guard = guard
        self._is_https = is_https
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's.
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        verdicts = {
            address: self._guard.judge_address(address, host=host, port=port, is_https=self._is_https)
            for address in addresses
        }
        allowed = [address for address, objection in verdicts.items() if objection is None]
        if not allowed:
            raise TargetNotAllowed(next(filter(None, verdicts.values())))
        *first, last = map(str, allowed)
        for address in first:
            try:
                return await self._network.connect_tcp(address, port, _ADDRESS_SECONDS, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    """
    Every address of *host*, in the order the resolver prefers.

    Raises:
        httpcore.ConnectError: There is none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name {host} was not found: {error}") from error
    addresses = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
    if not addresses:
        raise httpcore.ConnectError(f"the name {host} has no address")
    return list(addresses)


@cache
def _public_authorities() -> ssl.SSLContext:
    """Reading the authorities takes a tenth of a second, so they are read once."""
    return httpx.create_ssl_context(trust_env=False)


def _kept(request: Request, result: Result | None, started: datetime) -> Exchange:
    mask = _Mask(request.secrets)
    body = None if request.body is None else MASK if request.body_is_secret else mask.text(request.body)
    answer = result if isinstance(result, Answer) else None
    hides_answer = answer is not None and request.body_is_secret and answer.status < 300
    return Exchange(
        method=request.method,
        url=mask.replace(request.url),
        headers=mask.headers(request.headers),
        body=body,
        status=answer.status if answer else None,
        response_headers=mask.headers(answer.headers) if answer else {},
        response_body=None if answer is None else MASK if hides_answer else mask.text(answer.body),
        started_utc=started.astimezone(UTC),
    )


class _Mask:
    """Takes secrets out of texts, in each spelling in which they may stand there."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            spelling
            for secret in secrets
            if secret
            for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
        }
        self._spellings = sorted(spellings, key=len, reverse=True)

    def replace(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text

    def text(self, body: bytes) -> str:
        """*body* as text without secrets, cut; without NUL, which a database does not take."""
        # Cut after masking, lest half a secret be left at the end; roughly before it, to save work.
        text = body[: 8 * KEPT_BODY_BYTES].decode("utf-8", "replace")
        return _cut(self.replace(text).replace("\0", "\N{REPLACEMENT CHARACTER}"))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name: MASK if name.lower() in _SECRET_HEADERS else self.replace(value) for name, value in headers.items()
        }


def _cut(text: str) -> str:
    """At most 64 KiB of *text* in UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= KEPT_BODY_BYTES else data[:KEPT_BODY_BYTES].decode("utf-8", "ignore")
