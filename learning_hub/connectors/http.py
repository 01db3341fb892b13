"""
The outgoing HTTP client: connects to nothing the guard forbids, waits no longer than told, tells what is known.

Every connector sends through `exchange`, which makes one HTTP exchange and answers with one of three values.
What matters most is whether the request may have arrived: `NotSent` surely did not, `OutcomeUnknown` may have.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx
import msgspec

from learning_hub.connectors.addresses import Address, Guard
from learning_hub.connectors.base import Exchange, Journal
from learning_hub.connectors.mask import MASK, Mask
from learning_hub.model.clock import now

MAX_BODY_BYTES = 4 * 1024 * 1024
KEPT_BODY_BYTES = 64 * 1024

# Shorter than common servers keep an idle line open, so that a request is rarely sent into a closing one.
_IDLE_SECONDS = 3
# For one of several addresses of a name, before the next one is tried.
_ADDRESS_SECONDS = 3
# Of a body as text, which is more than any sentence or attempt needs.
_TEXT_BYTES = 8 * KEPT_BODY_BYTES
_LOCATION = "location"
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}


class TargetNotAllowed(Exception):
    """The address, or what its name resolves to, may not be connected to; nothing was sent."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """
    One HTTP request.

    *wrote* is true where it is meant to change something at the subscriber. *secrets* are texts (token,
    password) that are masked wherever they occur in what is kept and in what sentences are made of; of
    *masked_headers* the values are not kept. *body_is_secret* keeps neither the body nor the body of a successful
    answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    wrote: bool = False
    secrets: tuple[str, ...] = ()
    masked_headers: frozenset[str] = frozenset()
    body_is_secret: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A whole answer; header names are in lower case. Of a body over 4 MiB the beginning, *is_cut* then.

    *body* is as it came, secrets included: for the values that the protocol needs. *text* is the body as text,
    whatever it is, without secrets, at most its first 512 KiB; it and *headers* are what sentences are made of. It is
    `***` where the body as a whole is secret.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str
    is_cut: bool = False


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
    Make one exchange and take it down in *journal*; what may be told of it has no secret of the request any more.

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

    mask = _RequestMask(request)
    ready = _ready(client, request, notice)
    started = now()
    result: Result | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            result = await _answer_to(client, ready, mask)
    except TimeoutError:
        result = _failed("timed_out", f"no answer within {timeout_seconds:g} seconds", was_sent=was_sent)
    except (httpx.HTTPError, httpx.StreamError) as error:
        result = _failed("connection_failed", mask(_in_words(error)), was_sent=was_sent)
    finally:
        if result is not None or was_sent:
            journal.record(mask.kept(result, started), wrote=request.wrote)
    return result


async def reach(guard: Guard, url: str, *, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> NotSent | None:
    """
    Connect to the host of *url*, with TLS where it is https, and let go again; what failed, None where nothing did.

    Nothing is sent: whoever listens there learns of a connection and of nothing else.

    Raises:
        TargetNotAllowed: The guard forbids the target.
    """
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise TargetNotAllowed(f"The address cannot be used: {error}.") from error
    is_https, host = target.scheme == "https", target.raw_host.decode()
    network = _GuardedNetwork(guard, is_https=is_https)
    try:
        async with asyncio.timeout(timeout_seconds):
            line = await network.connect_tcp(host, target.port or (443 if is_https else 80))
            try:
                if is_https:
                    line = await line.start_tls(tls or _public_authorities(), server_hostname=host)
            finally:
                await line.aclose()
    except TimeoutError:
        return NotSent(code="timed_out", message=f"There was no connection within {timeout_seconds:g} seconds.")
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        words = _in_words(error)
        return NotSent(code="connection_failed", message=f"{words[0].upper()}{words[1:]}.")
    return None


def _ready(client: httpx.AsyncClient, request: Request, notice: Any) -> httpx.Request:
    """
    The request as the client takes it.

    Raises:
        TargetNotAllowed: Its address is none.
    """
    try:
        return client.build_request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"trace": notice},
        )
    except (httpx.InvalidURL, UnicodeError) as error:
        raise TargetNotAllowed(f"The address cannot be used: {error}.") from error


async def _answer_to(client: httpx.AsyncClient, request: httpx.Request, mask: _RequestMask) -> Answer:
    """
    The whole answer, read up to the limit.

    A body longer than that is left where it is and the line closed.
    """
    response = await client.send(request, stream=True)
    try:
        body, is_cut = bytearray(), False
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                is_cut = True
                break
    finally:
        await response.aclose()
    whole = bytes(body[:MAX_BODY_BYTES])
    return Answer(
        status=response.status_code,
        headers=mask.headers(_all_headers(response)),
        body=whole,
        text=mask.answer(response.status_code, whole),
        is_cut=is_cut,
    )


def _all_headers(response: httpx.Response) -> dict[str, str]:
    hidden: dict[str, str] = response.extensions.get(_LOCATION, {})
    return {name.lower(): value for name, value in response.headers.items()} | hidden


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
    """The usual transport, but its connections are made by `_GuardedNetwork`, and it keeps redirects to itself."""

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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, with its Location among the extensions."""
        response = await super().handle_async_request(request)
        # The client reads the address of a redirect even though it follows none, and fails where it is no address.
        if _LOCATION in response.headers:
            response.extensions[_LOCATION] = {_LOCATION: response.headers.pop(_LOCATION)}
        return response


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


class _RequestMask(Mask):
    """Takes the secrets of *request* out of whatever is told or kept of its exchange."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.secrets)
        self._request = request

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """*headers* without secrets, those masked whole that hold nothing else."""
        return {name: MASK if name.lower() in _SECRET_HEADERS else self(value) for name, value in headers.items()}

    def kept(self, result: Result | None, started: datetime) -> Exchange:
        """The exchange as it is taken down."""
        request, answer = self._request, result if isinstance(result, Answer) else None
        sent = {name: MASK if name in request.masked_headers else value for name, value in request.headers.items()}
        body = None if request.body is None else MASK if request.body_is_secret else self._text(request.body)
        return Exchange(
            method=request.method,
            url=self(request.url),
            headers=self.headers(sent),
            body=body and _storable(body),
            status=answer.status if answer else None,
            response_headers=dict(answer.headers) if answer else {},
            response_body=_storable(answer.text) if answer else None,
            started_utc=started.astimezone(UTC),
        )

    def answer(self, status: int, body: bytes) -> str:
        """The body of an answer as it may be told; a success may hold secrets that nobody knows yet."""
        return MASK if self._request.body_is_secret and status < 300 else self._text(body)

    def _text(self, body: bytes) -> str:
        # Cut to size after masking, lest half a secret be left at the end; roughly before it, to save work.
        return self(body[:_TEXT_BYTES].decode("utf-8", "replace"))


def _storable(text: str) -> str:
    """*text* cut, and without NUL, which a database does not take."""
    return _cut(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _cut(text: str) -> str:
    """At most 64 KiB of *text* in UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= KEPT_BODY_BYTES else data[:KEPT_BODY_BYTES].decode("utf-8", "ignore")
