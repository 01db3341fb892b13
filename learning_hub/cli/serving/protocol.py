"""
The HTTP protocol of a connection: uvicorn's, with limits of what comes before a request is read.

Uvicorn limits neither the bytes nor the time of a request's head, and keeps a connection for as long as its peer likes.
A peer needs no key for that, so these limits are here and not in the application.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from learning_hub.api.http.headers import NO_SNIFFING
from learning_hub.api.http.middleware import VALID_REQUEST_ID
from learning_hub.api.http.problems import MEDIA_TYPE, problem
from learning_hub.model.ids import new_request_id

log = logging.getLogger(__name__)

# The parser gets so many bytes at once. A limit is checked after each piece.
PIECE_BYTES = 16 * 1024
# Around the name and value of a header, and around the address in the first line.
HEADER_BYTES = len(b": \r\n")
FIRST_LINE_BYTES = len(b"GET  HTTP/1.1\r\n")
BLANK_LINE_BYTES = len(b"\r\n")
# What is written and not taken. Beyond it the application waits, and a connection holds one piece of a body more.
WRITE_BUFFER_BYTES = 16 * 1024
# What the system holds of it beside.
UNSENT_BYTES = 128 * 1024
# Requests that wait for the response to the one before.
MOST_PIPELINED = 100
# How long, and how many bytes, of a refused request are still read, so that its sender gets the refusal and no reset.
FAREWELL_SECONDS = 2.0
FAREWELL_BYTES = 1024 * 1024
# Connections beyond the limit that are only told so.
SPARE_CONNECTIONS = 100

MALFORMED = "The request is not valid HTTP: its first line, a header, or the chunks of its body cannot be read."


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request is refused before it is read."""

    status: int
    code: str
    detail: str


MALFORMED_REQUEST = Refusal(status=400, code="malformed_request", detail=MALFORMED)


class HeadTooLargeError(Exception):
    """The parser stops at it."""


class TooManyPipelinedError(Exception):
    """The parser stops at it."""


class Protocol(HttpToolsProtocol):
    """
    Uvicorn's HTTP protocol with limits of heads, connections and responses that are not taken; what it refuses gets a
    problem document.

    Trailers of a chunked body are ignored: uvicorn would add them to the headers of a request that is not read yet.
    """

    max_head_bytes: ClassVar[int] = 32 * 1024
    # A header takes more memory than its bytes.
    max_headers: ClassVar[int] = 1000
    head_seconds: ClassVar[float] = 10.0
    # A body that stands still so long, or is slower than this rate after it, is given up.
    body_stall_seconds: ClassVar[float] = 30.0
    body_bytes_per_second: ClassVar[float] = 1024.0
    # How long a body may go on after its request was answered without reading it.
    unread_body_seconds: ClassVar[float] = 30.0
    # A response of which the peer takes nothing for so long is given up.
    untaken_seconds: ClassVar[float] = 30.0
    max_connections: ClassVar[int] = 1000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A head is being received or waited for; otherwise a body, which may be empty.
        self._in_head = True
        # Bytes that arrived since the head began, of which some may not be parsed yet; and those parsed.
        self._arrived_bytes = 0
        self._head_bytes = 0
        # Bytes since the last byte of a body, in extensions of chunks and in trailers.
        self._fruitless_bytes = 0
        # Of the body: when it began, when its last byte came, and its bytes.
        self._body_began = self._body_moved = 0.0
        self._body_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        # While something is written and not taken: how many bytes there were, and since when none was taken.
        self._untaken_timer: asyncio.TimerHandle | None = None
        self._untaken_bytes = 0
        self._taken_at = 0.0
        self._is_refused = False
        self._dropped_bytes = 0
        self.idle_since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        _limit_unsent(transport)
        if len(self.connections) > self.max_connections and not self._make_room():
            self.refuse_connection()
        else:
            self._limit_head_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._untaken_timer is not None:
            self._untaken_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > FAREWELL_BYTES:
                self.transport.abort()
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self._is_refused or self.transport.is_closing():
                return
            self._receive(data[start : start + PIECE_BYTES])

    def _receive(self, piece: bytes) -> None:
        if self._in_head:
            self._limit_head_time()
            self._arrived_bytes += len(piece)
        else:
            self._fruitless_bytes += len(piece)
        super().data_received(piece)
        if self._in_head and self._arrived_bytes > self.max_head_bytes:
            self._refuse(self._head_too_large())
        elif self._fruitless_bytes > self.max_head_bytes:
            self._refuse(MALFORMED_REQUEST)
        elif not self._in_head and self._timer is None and not self._is_refused:
            self._begin_body()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._limit_head_time()
        self._arrived_bytes += 1
        self._head_bytes = FIRST_LINE_BYTES + BLANK_LINE_BYTES

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value) + HEADER_BYTES
        if self._head_bytes > self.max_head_bytes or len(self.headers) > self.max_headers:
            raise HeadTooLargeError

    def on_headers_complete(self) -> None:
        if self._head_bytes > self.max_head_bytes:
            raise HeadTooLargeError
        if len(self.pipeline) >= MOST_PIPELINED:
            raise TooManyPipelinedError
        self._stop_timer()
        self._in_head = False
        self._arrived_bytes = self._fruitless_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fruitless_bytes = 0
        self._body_bytes += len(body)
        self._body_moved = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._in_head = True
        self._arrived_bytes = self._fruitless_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_untaken()
        self.idle_since = time.monotonic()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if not self._in_head:
            self._limit_time(self.unread_body_seconds, self.transport.close)
        elif self._arrived_bytes:
            # The beginning of the next head came while this request was answered.
            self._limit_head_time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_untaken()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken_at = self.loop.time()

    def _watch_untaken(self) -> None:
        """Give the connection up where its peer takes nothing of what is written."""
        if self._untaken_timer is None:
            self._taken_at = self.loop.time()
            self._check_untaken_later()

    def _check_untaken_later(self) -> None:
        self._untaken_bytes = self.transport.get_write_buffer_size()
        self._untaken_timer = self.loop.call_later(self.untaken_seconds / 4, self._check_untaken)

    def _check_untaken(self) -> None:
        self._untaken_timer = None
        size = self.transport.get_write_buffer_size()
        now = self.loop.time()
        if size < self._untaken_bytes:
            self._taken_at = now
        if not size:
            return
        if now - self._taken_at >= self.untaken_seconds:
            log.warning("response_not_taken", extra={"bytes": size})
            self.transport.abort()
        else:
            self._check_untaken_later()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text is not a problem document
        """Answer a request that cannot be read, and close the connection."""
        is_too_large = self._in_head and (
            self._head_bytes > self.max_head_bytes or len(self.headers or ()) > self.max_headers
        )
        self._refuse(self._head_too_large() if is_too_large else MALFORMED_REQUEST)

    def _head_too_large(self) -> Refusal:
        limit = f"{self.max_head_bytes} bytes and {self.max_headers} headers"
        detail = f"The first line and the headers are over the limit of {limit}."
        return Refusal(status=431, code="head_too_large", detail=detail)

    def _head_is_late(self) -> None:
        self._timer = None
        if self._is_answering():
            # The time begins anew when the response is complete.
            return
        if self._arrived_bytes:
            detail = f"The headers did not come within {self.head_seconds:g} seconds."
            self._refuse(Refusal(status=408, code="head_too_slow", detail=detail))
        else:
            self.transport.close()

    def _begin_body(self) -> None:
        """Watch a body that did not come together with its head."""
        self._body_began = self._body_moved = self.loop.time()
        self._limit_time(self.body_stall_seconds, self._check_body)

    def _check_body(self) -> None:
        """Give a body up that stands still or is too slow, unless it is the hub that does not read on."""
        self._timer = None
        now = self.loop.time()
        if self.flow.read_paused:
            self._body_began += now - self._body_moved
            self._body_moved = now
        allowed = self.body_stall_seconds + self._body_bytes / self.body_bytes_per_second
        ends = min(self._body_moved + self.body_stall_seconds, self._body_began + allowed)
        if ends <= now:
            detail = "The body came too slowly, or no longer."
            self._refuse(Refusal(status=408, code="body_too_slow", detail=detail))
        else:
            self._limit_time(ends - now, self._check_body)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> bool:
        """Whether an idle connection was closed for a new one: the longest without a request, unused ones first."""
        idle = [other for other in self._others() if other.is_idle]
        if not idle:
            return False
        min(idle, key=lambda other: (other.cycle is not None, other.idle_since)).refuse_connection()
        return True

    def _others(self) -> Iterator[Protocol]:
        return (other for other in self.connections if isinstance(other, Protocol) and other is not self)

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is answered, nor is it being ended."""
        return not self._is_answering() and not self._is_refused

    def refuse_connection(self) -> None:
        """End this connection, because the hub has too many."""
        log.warning("connection_refused", extra={"connections": len(self.connections)})
        is_stuck = self.transport.get_write_buffer_size() > 0
        if is_stuck or len(self.connections) > self.max_connections + SPARE_CONNECTIONS:
            self._is_refused = True
            self.transport.abort()
            return
        detail = "The hub has too many connections. Try again."
        self._refuse(Refusal(status=503, code="too_many_connections", detail=detail))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that is not read, and end the connection."""
        self._is_refused = True
        before = self.cycle
        is_under_way = self._is_answering()
        if is_under_way and not (before.scope is self.scope and before.more_body):
            # It followed a request that is being answered: that response is sent, and then the connection ends.
            before.keep_alive = False
            return
        if not (is_under_way and before.response_started):
            self.transport.write(self._written(refusal))
        if is_under_way:
            # It is in the body of the request under way: a response to half a body would not be read.
            before.disconnected = True
            before.message_event.set()
        self._say_farewell()

    def _say_farewell(self) -> None:
        """End the connection once its peer has closed its side, or after some seconds; what still comes is dropped."""
        self._unset_keepalive_if_required()
        if self.transport.get_write_buffer_size():
            self._watch_untaken()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._limit_time(FAREWELL_SECONDS, self.transport.close)

    def _written(self, refusal: Refusal) -> bytes:
        sane = (
            value for name, value in self.headers or () if name == b"x-request-id" and VALID_REQUEST_ID.fullmatch(value)
        )
        request_id = next(sane, new_request_id().encode())
        log.info("request_malformed", extra={"code": refusal.code, "request_id": request_id.decode()})
        # The path that was called is unknown.
        content = msgspec.json.encode(problem(refusal.status, code=refusal.code, detail=refusal.detail, instance="/"))
        lines = [
            STATUS_LINE[refusal.status].removesuffix(b"\r\n"),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            b"content-type: %s" % MEDIA_TYPE.encode(),
            b"content-length: %d" % len(content),
            b"%s: %s" % NO_SNIFFING,
            b"x-request-id: %s" % request_id,
            *([b"retry-after: 1"] if refusal.status == 503 else []),
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", content])

    def _limit_head_time(self) -> None:
        """Limit the time of the head that begins, unless it is limited already."""
        if self._timer is None:
            self._limit_time(self.head_seconds, self._head_is_late)

    def _limit_time(self, seconds: float, expired: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, expired)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _limit_unsent(transport: asyncio.Transport) -> None:
    """
    Let the system hold little of a response that its peer does not take; it would hold megabytes.

    What is under way to the peer does not count, so that distant peers are not slowed down.
    """
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
