"""
The connections of the outgoing HTTP client: only to addresses that the guard allows.

A name is resolved once, the guard checks every address it resolves to, and the client connects to an allowed address by
number. The name is not resolved a second time, so it cannot lead elsewhere after the check. TLS and the Host header
still use the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from learning_hub.connectors.addresses import Address, Guard, read_address
from learning_hub.connectors.raw_response import has_surplus_body

# Shorter than common servers keep an idle connection open, so that a request is rarely sent on a closing one.
_IDLE_SECONDS = 3
# The time for one of several addresses of a name, before the next one is tried as well.
_ADDRESS_SECONDS = 0.25
_MOST_HEADERS = 2000
_MOST_HEADER_BYTES = 128 * 1024


class TargetNotAllowed(Exception):
    """The hub must not connect to the address, or to what its name resolves to; nothing was sent."""


class ConnectionCut(aiohttp.ClientError):
    """The connection was cut before the response came."""


class Progress:
    """
    The progress of a request.

    *may_be_sent* is true as soon as it has a connection. *received* are the bytes of the response so far, at most
    *most_bytes*.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self.may_be_sent = False
        self.received = bytearray()
        self._most_bytes = most_bytes

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the bytes of the response to the request that this task makes."""
        token = _WATCHED.set(self)
        try:
            yield
        finally:
            _WATCHED.reset(token)

    @property
    def head(self) -> bytes:
        """The first bytes of the response, with its whole head in all common cases."""
        return bytes(self.received[:_MOST_HEADER_BYTES])

    def add(self, data: bytes) -> None:
        self.received += data[: max(0, self._most_bytes - len(self.received))]


_WATCHED: ContextVar[Progress | None] = ContextVar("watched", default=None)


class Client:
    """
    HTTP sessions that connect only to targets that the guard allows.

    They follow no redirects, take no proxies or passwords from the environment, keep no cookies, and never send a
    request twice.

    Args:
        guard: Checks every address before the client connects to it.
        tls: Which certificates to trust; None for the public authorities.
        reuses_connections: Whether a request may use the connection of an earlier one. The server may close that
            connection just when the request is sent, and then it is not known whether the request arrived.
    """

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None, reuses_connections: bool = True) -> None:
        self._guard = guard
        self._reuses_connections = reuses_connections
        self._tls = tls
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def target(self, url: str) -> URL:
        """
        *url* in the form that the client connects to.

        Raises:
            TargetNotAllowed: It is no address, or a forbidden one. A name is checked later, when the client connects.
        """
        return _read(url, self._guard)

    def session(self, target: URL) -> aiohttp.ClientSession:
        """The session for a target of this client; requests in it take a `Progress` as their trace context."""
        session = self._sessions.get(target.scheme)
        if session is None:
            session = self._sessions[target.scheme] = self._open(is_https=target.scheme == "https")
        return session

    def _open(self, *, is_https: bool) -> aiohttp.ClientSession:
        connector = _Connector(
            resolver=_GuardedResolver(self._guard, is_https=is_https),
            use_dns_cache=False,
            ssl=self._tls or _public_authorities(),
            limit=0,
            force_close=not self._reuses_connections,
            keepalive_timeout=_IDLE_SECONDS if self._reuses_connections else None,
            happy_eyeballs_delay=_ADDRESS_SECONDS,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # The caller limits the time of the whole exchange, which no setting here does.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"User-Agent": "learning-hub", "Accept-Encoding": "identity"},
            skip_auto_headers=("Content-Type",),
            # The body is decoded afterwards, since a wrong encoding must not hide the status.
            auto_decompress=False,
            # Some gateways set more than a hundred cookies; the whole head is bounded by what is kept of a response.
            max_headers=_MOST_HEADERS,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            middlewares=(_send_once,),
            trace_configs=[_tracing()],
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


async def connect(guard: Guard, url: str, *, tls: ssl.SSLContext | None = None) -> None:
    """
    Connect to the host of *url*, with TLS where it is https, and disconnect.

    Raises:
        TargetNotAllowed: The guard forbids the target.
        OSError: Nothing listens there, or its certificate is not trusted.
    """
    target = _read(url, guard)
    host, is_https = target.raw_host or "", target.scheme == "https"
    addresses = await _allowed(guard, host, target.port or 0, is_https=is_https)
    open_connection = partial(
        asyncio.open_connection,
        port=target.port,
        ssl=(tls or _public_authorities()) if is_https else None,
        server_hostname=host if is_https else None,
    )
    for address in addresses[:-1]:
        try:
            _, writer = await open_connection(str(address))
        except OSError:
            continue
        break
    else:
        _, writer = await open_connection(str(addresses[-1]))
    writer.transport.abort()


def _read(url: str, guard: Guard) -> URL:
    try:
        # Escapes stay as they were written, since they may be part of a signature or of a key of the subscriber.
        target = URL(url, encoded=url.isascii())
        host, port, address = target.host or "", target.port or 0, read_address((target.host or "").lower())
    except ValueError as error:
        raise TargetNotAllowed(f"The address cannot be used: {error}.") from error
    if target.scheme not in ("https", "http"):
        raise TargetNotAllowed(f"The address must begin with https://, not {target.scheme}://.")
    if address is None:
        return target
    objection = guard.check_address(address, host=host, port=port, is_https=target.scheme == "https")
    if objection is not None:
        raise TargetNotAllowed(objection)
    # A number can be spelled in many ways; the client uses the spelling that was checked.
    return target.with_host(str(address))


class _Response(ResponseHandler):
    """Reads responses from one connection, and keeps the bytes of the present one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._progress: Progress | None = None
        self._is_idle = False

    def set_response_params(self, **params: Any) -> None:
        # The client calls this before each request, in the task that makes the request.
        self._progress, self._is_idle = _WATCHED.get(), False
        super().set_response_params(**params)

    def rest(self) -> None:
        """Wait for the next request; whatever is received before it ends the connection."""
        self._is_idle = True

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            # The client would read these bytes as the response to its next request. It passes none when it reads on.
            if data:
                self.close()
            return
        if self._progress is not None:
            self._progress.add(data)
        super().data_received(data)

    @property
    def should_close(self) -> bool:
        return super().should_close or (self._progress is not None and has_surplus_body(self._progress.head))


class _Connector(aiohttp.TCPConnector):
    """Connections whose responses are kept as they were received."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._factory = cast("partial[ResponseHandler]", partial(_Response, loop=asyncio.get_running_loop()))

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        cast("_Response", protocol).rest()


class _GuardedResolver(AbstractResolver):
    """Gives the client only the allowed addresses of a name."""

    def __init__(self, guard: Guard, *, is_https: bool) -> None:
        self._guard = guard
        self._is_https = is_https

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await _allowed(self._guard, host, port, is_https=self._is_https)
        return [_by_number(address, host, port) for address in addresses if _fits(address, family)]

    async def close(self) -> None:
        """The resolver holds nothing open."""


async def _allowed(guard: Guard, host: str, port: int, *, is_https: bool) -> list[Address]:
    """
    The addresses of *host* that the hub may connect to.

    Raises:
        TargetNotAllowed: The guard allows none of them.
        OSError: The name has no address.
    """
    objections = {
        address: guard.check_address(address, host=host, port=port, is_https=is_https)
        for address in await resolve(host, port)
    }
    allowed = [address for address, objection in objections.items() if objection is None]
    if not allowed:
        raise TargetNotAllowed(next(filter(None, objections.values())))
    return allowed


async def resolve(host: str, port: int) -> list[Address]:
    """
    Every address of *host*, in the order the resolver prefers.

    Raises:
        socket.gaierror: There is none.
    """
    try:
        resolved = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "No name can be spelled so") from error
    addresses = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in resolved)
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "The name has no address")
    return list(addresses)


def _fits(address: Address, family: int) -> bool:
    return family in (socket.AF_UNSPEC, _family(address))


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _by_number(address: Address, host: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=_family(address),
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep the client from repeating requests after a cut connection, since the first request may have arrived."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionCut from error


def _tracing() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(_mark_as_sent)
    tracing.on_connection_reuseconn.append(_mark_as_sent)
    return tracing


async def _mark_as_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.trace_request_ctx.may_be_sent = True


@cache
def _public_authorities() -> ssl.SSLContext:
    """Reading the authorities takes a tenth of a second, so they are read once."""
    return ssl.create_default_context(cafile=certifi.where())
