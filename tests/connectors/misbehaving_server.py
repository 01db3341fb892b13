"""A small server that behaves as a test says, and requests to it by the outgoing client."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from connectors.imis_site import RecordedExchanges

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.http import (
    HttpRequest,
    exchange,
)
from learning_hub.connectors.network import Client

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = Guard(["127.0.0.1", "localhost"])


@asynccontextmanager
async def receiver(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port that reads a request's head and then behaves as *behaviour* does; gives the port."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*talks)
        await server.wait_closed()


def saying(answer: bytes) -> Behaviour:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


async def ask(
    url: str, guard: Guard = HERE, *, timeout_seconds: float = 15, **request: Any
) -> tuple[Any, RecordedExchanges]:
    recorder, tls = RecordedExchanges(), request.pop("tls", None)
    client = Client(guard, tls=tls)
    try:
        sent = HttpRequest(method=request.pop("method", "POST"), url=url, **request)
        return await exchange(client, sent, recorder, timeout_seconds=timeout_seconds), recorder
    finally:
        await client.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: 1\r\n\r\nok"
