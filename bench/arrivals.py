"""A webhook that measures how long events take from being published to being delivered."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
EVENT_ID = re.compile(rb'"Id": ?"([^"]+)"')


class Arrivals:
    """The moments at which the events of each PublisherEventId arrived at *listener*, as `time.perf_counter`."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.at: dict[str, float] = {}

    @asynccontextmanager
    async def received(self) -> AsyncIterator[None]:
        """Receive within the block."""
        server = await asyncio.start_server(self._answer, sock=self._listener.dup())
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if event := EVENT_ID.search(body):
                    self.at.setdefault(event[1].decode(), time.perf_counter())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
