"""A small HTTP/1.1 load: many kept-alive connections of one process, each sending its next request on an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit


class Refused(Exception):
    """The server answered with a status that was not expected."""


async def requests_per_second(
    address: str, requests: Iterator[bytes], *, count: int, connections: int, expected: bytes
) -> float:
    """
    Send *count* of *requests* over *connections* and wait for each answer.

    Args:
        address: `http://host:port`.
        requests: Whole requests as bytes, headers included.
        count: How many to send.
        connections: How many at once.
        expected: The status each must be answered with (`b"201"`).

    Returns:
        Answers a second, all connections together.

    Raises:
        Refused: One was answered otherwise.
    """
    left = iter(range(count))
    began = time.perf_counter()
    await asyncio.gather(*(_send(address, requests, left, expected) for _ in range(connections)))
    return count / (time.perf_counter() - began)


async def _send(address: str, requests: Iterator[bytes], left: Iterator[int], expected: bytes) -> None:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        for _ in left:
            writer.write(next(requests))
            head = await reader.readuntil(b"\r\n\r\n")
            if head[9:12] != expected:
                raise Refused(head.decode("latin-1"))
            length = _content_length(head)
            if length:
                await reader.readexactly(length)
    finally:
        writer.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
