"""
One HTTP exchange: to targets that the guard allows, within a time limit, recorded without secrets.

Every connector sends through `exchange`, which returns one of three values. What matters most is whether the request
may have arrived: `NotSent` certainly did not, `OutcomeUnknown` may have. A response counts as soon as its first line
has arrived: the status is known then, and what is wrong with the rest is the `Flaw` of the response.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import BytesIO

import aiohttp
import msgspec
from yarl import URL

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import Exchange, Recorder
from learning_hub.connectors.connection_errors import describe_connection_error, host_and_port
from learning_hub.connectors.mask import MASK, Mask
from learning_hub.connectors.network import Client, ConnectionCut, Progress, connect
from learning_hub.connectors.raw_response import decode_body, in_utf8, read_response
from learning_hub.model.clock import now

MAX_BODY_BYTES = 4 * 1024 * 1024
KEPT_BODY_BYTES = 64 * 1024

# A longer body is sent in pieces, so that other tasks run in between.
_LONG_BODY_BYTES = 1024 * 1024
# What is kept of a response as it was received: its head, and a body of the size that is read.
_MOST_RAW_BYTES = MAX_BODY_BYTES + 256 * 1024
# How much of an answer that is no HTTP is quoted.
_QUOTED_CHARACTERS = 80
# The longest text of a body, which is more than any sentence or attempt needs.
_TEXT_BYTES = 8 * KEPT_BODY_BYTES
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    One HTTP request.

    *wrote* is true where the request is meant to change something at the subscriber. *secrets* are texts (token,
    password) that are masked in everything that is recorded, and in the parts of the response that sentences use. The
    values of *masked_headers* are not recorded. *shown_url* is recorded instead of *url* if it is given. With
    *body_is_secret* neither the body nor the body of a successful response is recorded.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    wrote: bool = False
    secrets: tuple[str, ...] = ()
    masked_headers: frozenset[str] = frozenset()
    shown_url: str | None = None
    body_is_secret: bool = False


class Flaw(msgspec.Struct, frozen=True):
    """
    What is wrong with a response after its first line: *message* is the end of a sentence.

    *code* is the code of the failure where the connection is the cause (`connection_failed`, `timed_out`), and
    `subscriber_error` where the subscriber wrote the response so.
    """

    code: str
    message: str


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """
    A response; header names are in lower case. A body over 4 MiB is cut there, and *is_cut* is true.

    *status* is always that of the first line. *flaw* is why headers and body may be incomplete, None where they are
    complete. *body* is the body in UTF-8, without its content encoding, secrets included: only for values that the
    protocol needs. *text* is the body as text without secrets, at most its first 512 KiB; sentences are made of *text*
    and *headers* only. *text* is `***` where the whole body is secret.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str
    is_cut: bool = False
    flaw: Flaw | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was sent: no such name, no connection, no TLS, or the time ran out. *code* is one of the hub's codes."""

    code: str
    message: str


class OutcomeUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """The request was sent, at least in part, and not even a status was received. *code* is one of the hub's codes."""

    code: str
    message: str


ExchangeResult = HttpResponse | NotSent | OutcomeUnknown


async def exchange(
    client: Client, request: HttpRequest, recorder: Recorder, *, timeout_seconds: float
) -> ExchangeResult:
    """
    Make one exchange and record it. What is recorded, or returned for sentences, contains no secret of the request.

    Args:
        client: Makes the connection.
        request: What to send.
        recorder: Records the exchange, whatever its result.
        timeout_seconds: For the whole exchange, from looking up the name to the last byte of the response.

    Raises:
        TargetNotAllowed: The guard forbids the target; nothing was sent and nothing is recorded.
    """
    target, mask, progress = client.target(request.url), _RequestMask(request), Progress(most_bytes=_MOST_RAW_BYTES)
    started = now()
    result: ExchangeResult | None = None
    try:
        _forbid_control_characters(request.headers)
        with progress.watched():
            async with asyncio.timeout(timeout_seconds):
                result = await _response_to(client, target, request, progress, mask)
    except TimeoutError:
        flaw = Flaw("timed_out", f"the rest of the answer did not come within {timeout_seconds:g} seconds")
        missing = "answer came" if progress.may_be_sent else f"connection to {host_and_port(target)} came about"
        result = _flawed(progress, flaw, mask) or _failed(
            "timed_out", f"no {missing} within {timeout_seconds:g} seconds", progress
        )
    except (aiohttp.ClientError, _NoHeader) as error:
        flaw = _MALFORMED if isinstance(error, aiohttp.ClientResponseError) else _CUT
        result = _flawed(progress, flaw, mask) or _failed(
            "connection_failed", mask(_describe_error(error, target, mask(_first_line(progress)))), progress
        )
    finally:
        if result is not None or progress.may_be_sent:
            recorder.record(mask.kept(result, started), wrote=request.wrote)
    return result


async def reach(guard: Guard, url: str, *, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> NotSent | None:
    """
    Connect to the host of *url*, with TLS where it is https, and disconnect; what failed, None where nothing did.

    Nothing is sent: the server sees a connection and nothing else.

    Raises:
        TargetNotAllowed: The guard forbids the target.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await connect(guard, url, tls=tls)
    except TimeoutError:
        words = f"no connection to {host_and_port(URL(url))} came about within {timeout_seconds:g} seconds"
        return NotSent(code="timed_out", message=f"{_capital(words)}.")
    except OSError as error:
        return NotSent(code="connection_failed", message=f"{_capital(describe_connection_error(error, URL(url)))}.")
    return None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


class _NoHeader(ValueError):
    """A header cannot be sent."""


def _forbid_control_characters(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if any(character < " " or character == "\x7f" for character in value):
            raise _NoHeader(f"the header {name} has a character that does not belong into one")


async def _response_to(
    client: Client, target: URL, request: HttpRequest, progress: Progress, mask: _RequestMask
) -> HttpResponse:
    """
    The complete response, its body up to the limit.

    The rest of a longer body is not read, and the connection is closed.
    """
    # Let the client notice which of its connections the server has closed: the event loop polls in the first iteration,
    # and the client acts on the result in the second.
    for _ in range(2):
        await asyncio.sleep(0)
    sending = client.session(target).request(
        request.method,
        target,
        headers=request.headers,
        data=request.body if len(request.body or b"") < _LONG_BODY_BYTES else BytesIO(request.body or b""),
        allow_redirects=False,
        trace_request_ctx=progress,
    )
    async with sending as response:
        body, is_cut = bytearray(), False
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                is_cut = True
                break
        headers = _headers(response.raw_headers)
    return _response(response.status, headers, bytes(body[:MAX_BODY_BYTES]), mask, is_cut=is_cut)


def _response(
    status: int,
    headers: dict[str, str],
    received: bytes,
    mask: _RequestMask,
    *,
    is_cut: bool = False,
    flaw: Flaw | None = None,
) -> HttpResponse:
    decoded = decode_body(received, headers.get("content-encoding", ""), most_bytes=MAX_BODY_BYTES)
    if decoded.flaw is not None and flaw is None:
        flaw = Flaw("subscriber_error", decoded.flaw)
    body = in_utf8(decoded.body, headers.get("content-type", ""))
    return HttpResponse(
        status=status,
        headers=mask.headers(headers),
        body=body,
        text=mask.response(status, body),
        is_cut=is_cut,
        flaw=flaw,
    )


def _flawed(progress: Progress, flaw: Flaw, mask: _RequestMask) -> HttpResponse | None:
    """The response as far as it was received; None where not even its status was."""
    raw = read_response(bytes(progress.received))
    if raw is None:
        return None
    if raw.fault == "malformed":
        flaw = _MALFORMED
    body = raw.body[:MAX_BODY_BYTES]
    return _response(raw.status, _headers(raw.headers), body, mask, flaw=flaw if raw.fault else None)


_MALFORMED = Flaw("subscriber_error", "the answer is no valid HTTP after its first line")
_CUT = Flaw("connection_failed", "the connection was cut before the whole answer came")


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By name in lower case; one that came several times has its values in one."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), _text_of(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _text_of(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")


def _failed(code: str, words: str, progress: Progress) -> NotSent | OutcomeUnknown:
    if progress.may_be_sent:
        return OutcomeUnknown(code=code, message=f"The request was sent, but {words}.")
    return NotSent(code=code, message=f"Nothing was sent: {words}.")


def _first_line(progress: Progress) -> str:
    return bytes(progress.received[:_TEXT_BYTES]).split(b"\n")[0].decode("utf-8", "replace").strip()


def _describe_error(error: Exception, target: URL, first_line: str) -> str:
    if isinstance(error, _NoHeader):
        return str(error)
    if isinstance(error, aiohttp.ClientResponseError):
        began = first_line[:_QUOTED_CHARACTERS] if first_line.isprintable() else ""
        return f"the answer is no HTTP; it begins with {began}" if began else "the answer is no HTTP"
    if isinstance(error, (ConnectionCut, aiohttp.ClientPayloadError)):
        return _CUT.message
    return describe_connection_error(error, target)


class _RequestMask(Mask):
    """Masks the secrets of *request* in whatever is recorded or returned of its exchange."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.secrets)
        self._request = request

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """*headers* without secrets; the values of headers that hold only a secret are masked as a whole."""
        return {name: MASK if name.lower() in _SECRET_HEADERS else self(value) for name, value in headers.items()}

    def kept(self, result: ExchangeResult | None, started: datetime) -> Exchange:
        """The exchange as it is recorded."""
        request, response = self._request, result if isinstance(result, HttpResponse) else None
        sent = {name: MASK if name in request.masked_headers else value for name, value in request.headers.items()}
        body = None if request.body is None else MASK if request.body_is_secret else self._text(request.body)
        return Exchange(
            method=request.method,
            url=self(request.shown_url or request.url),
            headers=self.headers(sent),
            body=body and _storable(body),
            status=response.status if response else None,
            response_headers=dict(response.headers) if response else {},
            response_body=_storable(response.text) if response else None,
            started_utc=started.astimezone(UTC),
        )

    def response(self, status: int, body: bytes) -> str:
        """The body of a response as text for sentences; a successful one may hold new secrets."""
        return MASK if self._request.body_is_secret and status < 300 else self._text(body)

    def _text(self, body: bytes) -> str:
        # The text is cut to size after masking, so that no half of a secret remains; a rough cut before saves work.
        return self(body[:_TEXT_BYTES].decode("utf-8", "replace"))


def _storable(text: str) -> str:
    """*text* cut, and without NUL, which the database does not store."""
    return _cut(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _cut(text: str) -> str:
    """At most 64 KiB of *text* in UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= KEPT_BODY_BYTES else data[:KEPT_BODY_BYTES].decode("utf-8", "ignore")
