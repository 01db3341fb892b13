"""The server of the sandbox: as a program, and in a thread for tests."""

import contextlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn

from learning_hub.sandbox import seeds
from learning_hub.sandbox.app import Application, build_app
from learning_hub.sandbox.protocol import SandboxProtocol
from learning_hub.sandbox.site import Site

# Longer than clients keep an idle connection; otherwise one could be closed while a client sends a request on it.
_KEEP_ALIVE_SECONDS = 75
# The program ends on a signal even while a late or slow request is in progress.
_GRACE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A running sandbox; *address* has no trailing slash, *site* is its state."""

    address: str
    username: str
    password: str
    site: Site


class _Server(uvicorn.Server):
    """A uvicorn server that exits with status 0 on SIGINT and SIGTERM; uvicorn itself raises the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    username: str = seeds.USERNAME,
    password: str = seeds.PASSWORD,
    *,
    as_json: bool = False,
) -> None:
    """
    Print address, user name and password, then serve until SIGINT or SIGTERM.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        username: Of the only account.
        password: Of the only account.
        as_json: Print one JSON line instead of three readable ones.

    Raises:
        OSError: The socket cannot be bound to the address.
    """
    listener = _listen(host, port)
    address = _address(listener)
    if as_json:
        lines = [json.dumps({"Address": address, "Username": username, "Password": password})]
    else:
        lines = [f"Address:   {address}", f"User name: {username}", f"Password:  {password}"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    _server(build_app(Site(username, password))).run(sockets=[listener])


@contextlib.contextmanager
def running_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox on a free port of 127.0.0.1, in a thread of its own; it stops at the end of the block."""
    site = Site(seeds.USERNAME, seeds.PASSWORD)
    listener = _listen("127.0.0.1", 0)
    server = _server(build_app(site))
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox-imis", daemon=True)
    thread.start()
    try:
        yield RunningSandbox(_address(listener), seeds.USERNAME, seeds.PASSWORD, site)
    finally:
        server.should_exit = True
        thread.join()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: clients can connect before the server runs; their requests wait for it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=256)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(app: Application) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=SandboxProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return _Server(config)
