"""A hub that runs within a test, reached over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from plain_http import plain_async_client

from learning_hub.api.http.middleware import ApiMiddleware
from learning_hub.cli.serving.protocol import Protocol
from learning_hub.main import run_hub
from learning_hub.settings import Settings
from learning_hub.store.database import Database

ADMIN_KEY = "test-admin-key-0123456789"


class RunningHub:
    """A hub at *address*; *client* calls it with the admin key."""

    def __init__(
        self, address: str, database: Database, settings: Settings, app: ApiMiddleware, stack: AsyncExitStack
    ) -> None:
        self.address = address
        self._feed = app._services["feed"]._notifications.feed
        self._body_budget = app._services["body_budget"]
        self.answer_budget = app.answer_budget
        self.preview_limit = app._services["previews"]._limit
        self.database = database
        self.settings = settings
        self.client = self._client(ADMIN_KEY)
        self._stack = stack
        self._numbers = itertools.count(1)
        stack.push_async_callback(self.client.aclose)

    def client_with(self, key: str | None) -> httpx.AsyncClient:
        """A client with *key*, or without any; closed with the hub."""
        client = self._client(key)
        self._stack.push_async_callback(client.aclose)
        return client

    async def make_key(self, *scopes: str, programs: Sequence[str] = ("*",)) -> str:
        """A new key with these scopes."""
        body = {"Name": f"key {next(self._numbers)}", "Programs": list(programs), "Scopes": list(scopes)}
        answer = await self.client.post("/keys", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["Key"])

    async def caller(self, *scopes: str, programs: Sequence[str] = ("*",)) -> httpx.AsyncClient:
        """A client with a new key that has these scopes."""
        return self.client_with(await self.make_key(*scopes, programs=programs))

    async def make_program(self, program_id: str = "NURSES") -> None:
        """A Program to work with."""
        answer = await self.client.put(f"/programs/{program_id}", json={"Name": f"The {program_id}"})
        assert answer.status_code in (200, 201), answer.text

    async def bodies_are_received(self, count: int) -> None:
        """As soon as *count* bodies are on their way."""

        async def look() -> bool:
            return len(self._body_budget._bodies) == count

        await eventually(look)

    async def readers_wait(self, count: int = 1) -> None:
        """Until so many requests wait for events to come."""

        async def look() -> int:
            return len(self._feed._woken._waiters)

        # The enqueuer waits beside them.
        await eventually(look, until=lambda waiting: waiting > count)

    def _client(self, key: str | None) -> httpx.AsyncClient:
        headers = {"X-API-Key": key} if key else {}
        return plain_async_client(self.address, headers=headers)


@asynccontextmanager
async def running_hub(settings: Settings, database: Database, *, with_worker: bool = True) -> AsyncIterator[RunningHub]:
    """A hub on a free port of 127.0.0.1, served by uvicorn on this loop."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(run_hub(settings, database, with_worker=with_worker))
        address = await stack.enter_async_context(served(app))
        yield RunningHub(address, database, settings, app, stack)


async def eventually(
    look: Callable[[], Awaitable[Any]], *, until: Callable[[Any], bool] = bool, seconds: float = 30
) -> Any:
    """What *look* finds once *until* holds for it; fails with what was found last when that takes too long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not until(found := await look()):
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"After {seconds} seconds there still was {found!r}.")
        await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def served(app: object, protocol: type[asyncio.Protocol] = Protocol) -> AsyncIterator[str]:
    """The address of an ASGI application while it is served on this loop."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host="127.0.0.1",
        port=0,
        http=protocol,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    # Pytest gives this logger a handler, and with a handler uvicorn logs each request in spite of `access_log`.
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "uvicorn does not start"
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stopping.set()
        await task


class _Server(uvicorn.Server):
    """
    Uvicorn that stops at once.

    Uvicorn itself checks every tenth of a second whether it should exit, and then sleeps for another tenth, which is
    longer than most tests take. Its signal handlers belong to the test run here.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - they have no event
                    await asyncio.sleep(0.002)
        except TimeoutError:
            for request in self.server_state.tasks:
                request.cancel()
