"""Serve the hub over HTTP on a port that is bound first, so that a port in use is reported before anything starts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import socket
import sys
from collections.abc import Iterator

import rich_click as click
import uvicorn

import learning_hub
from learning_hub.api.http.middleware import ApiMiddleware
from learning_hub.cli.failures import FailedError
from learning_hub.cli.serving.protocol import Protocol
from learning_hub.settings import Settings

BACKLOG = 2048
MOST_CONNECTIONS = 1000
# Connections to the database and to subscribers, render processes, files, and callers that are told to come later.
OTHER_DESCRIPTORS = 500
COLLECT_AFTER = 10_000
# Longer than clients and proxies keep an idle connection open, so that the server closes none under a request.
KEEP_ALIVE_SECONDS = 75
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

    class LimitedProtocol(Protocol):
        max_connections = _most_connections()

    server = _Server(
        uvicorn.Config(
            app,
            http=LimitedProtocol,
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


def _most_connections() -> int:
    """
    The most connections that this process serves: as many as it has descriptors for, and MOST_CONNECTIONS at most.

    The limit of descriptors is raised as far as the system allows, because many systems start programs with 1,024.
    """
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MOST_CONNECTIONS + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    available = needed if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MOST_CONNECTIONS, available - OTHER_DESCRIPTORS, available // 2))


def _spare_the_collector() -> None:
    """
    Exclude the hub's long-lived objects, about a hundred thousand, from garbage collection.

    The collector runs only after more new objects than a page of the feed has: hardly any of them are in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: `stopping` has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
