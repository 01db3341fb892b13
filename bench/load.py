"""A small HTTP/1.1 load: many keep-alive connections of one process, each with its next request after a response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Self
from urllib.parse import urlsplit


class Refused(Exception):
    """The server answered with an unexpected status."""


async def requests_per_second(address: str, requests: Iterable[bytes], *, connections: int, expected: bytes) -> float:
    """
    Send *requests* over *connections*, each after the response to the one before.

    Args:
        address: `http://host:port`.
        requests: Whole requests as bytes, headers included.
        connections: How many at once.
        expected: The status each must be answered with (`b"201"`).

    Returns:
        Responses a second, of all connections together.

    Raises:
        Refused: A request was answered with another status.
    """
    left = iter(requests)
    began = time.perf_counter()
    answered = await asyncio.gather(*(_send(address, left, expected) for _ in range(connections)))
    return sum(answered) / (time.perf_counter() - began)


async def seconds_each(address: str, requests: Iterable[bytes], *, expected: bytes) -> list[float]:
    """How long each of *requests* took, one after the other over one connection."""
    seconds = []
    async with _Line(address) as line:
        for request in requests:
            began = time.perf_counter()
            await line.ask(request, expected)
            seconds.append(time.perf_counter() - began)
    return seconds


async def ask(address: str, request: bytes, *, expected: bytes = b"200") -> bytes:
    """The body of the response to one request."""
    async with _Line(address) as line:
        return await line.ask(request, expected)


async def _send(address: str, left: Iterator[bytes], expected: bytes) -> int:
    answered = 0
    async with _Line(address) as line:
        for request in left:
            await line.ask(request, expected)
            answered += 1
    return answered


class _Line:
    """A keep-alive connection."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._parts.hostname, self._parts.port, limit=64 * 1024 * 1024
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, request: bytes, expected: bytes) -> bytes:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if head[9:12] != expected:
            raise Refused(head.decode("latin-1"))
        return await self._reader.readexactly(_content_length(head))


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
