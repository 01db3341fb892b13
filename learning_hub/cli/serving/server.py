"""Serve the hub over HTTP on a port that is bound first, so that a port in use is reported before anything starts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import math
import socket
from collections.abc import Iterator

import msgspec
import rich_click as click
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

import learning_hub
from learning_hub.api.http.headers import NO_SNIFFING
from learning_hub.api.http.middleware import VALID_REQUEST_ID, ApiMiddleware
from learning_hub.api.http.problems import MEDIA_TYPE, problem
from learning_hub.cli.failures import FailedError
from learning_hub.model.ids import new_request_id
from learning_hub.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 2048
COLLECT_AFTER = 10_000
# Longer than clients and proxies keep an idle connection open, so that the server closes none under a request.
KEEP_ALIVE_SECONDS = 75
MALFORMED = "The request is not valid HTTP: its first line, a header, or the chunks of its body cannot be read."
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not bound


def bind(host: str, port: int) -> socket.socket:
    """
    A socket bound to *host* and *port*, 0 for a free one; it accepts no connections yet.

    Raises:
        FailedError: The port is in use, or the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FailedError(f"{host} is not an address to listen on: {error.strerror or error}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    return listener


def cannot_listen(host: str, port: int, error: OSError) -> FailedError:
    """The failure for a port that cannot be bound."""
    return FailedError(f"Cannot listen on port {port} of {host}: {error.strerror}. Choose another one with --port.")


def listen(listener: socket.socket) -> None:
    """
    Accept connections from now on; they wait until the hub serves them.

    Raises:
        FailedError: Another program bound the same port at the same time and was faster.
    """
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise cannot_listen(host, port, error) from error


def announce(listener: socket.socket, settings: Settings, *, as_json: bool) -> None:
    """Print the address of the hub, and how to make a first key if no admin key is set."""
    address = address_of(listener)
    if as_json:
        addresses = {"Address": address, "Documentation": f"{address}/schema"}
        click.echo(json.dumps(addresses))
    else:
        click.echo(f"Learning Hub {learning_hub.__version__} at {address}")
        click.echo(f"API documentation at {address}/schema")
    if settings.admin_key is None:
        click.echo(
            "LEARNING_HUB_ADMIN_KEY is not set. Make a first key:\n"
            '  learning-hub key create --name "First admin" --program "*" --scope admin',
            err=True,
        )


def address_of(listener: socket.socket) -> str:
    """The base address that reaches *listener* from this machine."""
    host, port = listener.getsockname()[:2]
    host = EVERY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve_app(app: ApiMiddleware, listener: socket.socket, settings: Settings) -> None:
    """
    Serve *app* until cancelled.

    Requests under way are then finished within the timeout of one request to a subscriber; waiting ones at once.
    """
    _spare_the_collector()
    server = _Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # The hub does not use the caller's address or scheme.
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(settings.send_timeout_seconds),
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        app.stop_waiting()
        await serving
        raise


def _spare_the_collector() -> None:
    """
    Exclude the hub's long-lived objects, about a hundred thousand, from garbage collection.

    The collector runs only after more new objects than a page of the feed has: hardly any of them are in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, which also answers malformed requests with a problem document."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text is not a problem document
        """Answer a request that cannot be read, and close the connection."""
        before = self.cycle
        is_under_way = before is not None and not before.response_complete
        if is_under_way and not (before.scope is self.scope and before.more_body):
            # It followed a request that is being answered: that response is sent, and then the connection ends.
            before.keep_alive = False
            return
        if not (is_under_way and before.response_started):
            self.transport.write(self._malformed())
        if is_under_way:
            # It is in the body of the request under way: a response to half a body would not be read.
            before.disconnected = True
            before.message_event.set()
        self.transport.close()

    def _malformed(self) -> bytes:
        sane = (
            value for name, value in self.headers or () if name == b"x-request-id" and VALID_REQUEST_ID.fullmatch(value)
        )
        request_id = next(sane, new_request_id().encode())
        log.info("request_malformed", extra={"request_id": request_id.decode()})
        # The path that was called is unknown.
        content = msgspec.json.encode(problem(400, code="malformed_request", detail=MALFORMED, instance="/"))
        lines = [
            STATUS_LINE[400].removesuffix(b"\r\n"),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            b"content-type: %s" % MEDIA_TYPE.encode(),
            b"content-length: %d" % len(content),
            b"%s: %s" % NO_SNIFFING,
            b"x-request-id: %s" % request_id,
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", content])


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: `stopping` has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
