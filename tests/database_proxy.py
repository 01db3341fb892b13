"""A proxy before the test run's PostgreSQL: while it is closed, the database is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlencode, urlsplit


class DatabaseProxy:
    """Carries connections to the server at *address*, until it is closed: then it cuts them and lets no new ones in."""

    def __init__(self, address: str) -> None:
        self._there = urlsplit(address)
        self._is_open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """The address of the database through the proxy."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user = self._there.netloc.rpartition("@")[0]
        query = {
            name: values[0] for name, values in parse_qs(self._there.query).items() if name not in ("host", "port")
        }
        # Encryption is between the hub and a real server; here it would only hide whether the line is cut.
        query["sslmode"] = "disable"
        try:
            yield self._there._replace(
                netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}", query=urlencode(query)
            ).geturl()
        finally:
            self.close()
            server.close()
            await asyncio.gather(*self._carrying, return_exceptions=True)
            await server.wait_closed()

    def close(self) -> None:
        """Cut every connection, and those to come at once."""
        self._is_open = False
        for writer in self._writers:
            writer.transport.abort()

    def open(self) -> None:
        """Let connections in again."""
        self._is_open = True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        if not self._is_open:
            writer.transport.abort()
            return
        there_reader, there_writer = await self._connect()
        pair = {writer, there_writer}
        self._writers |= pair
        if not self._is_open:
            # It was closed while this one was on its way.
            self.close()
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        query = parse_qs(self._there.query)
        host = self._there.hostname or query.get("host", ["127.0.0.1"])[0]
        port = self._there.port or int(query.get("port", ["5432"])[0])
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()
