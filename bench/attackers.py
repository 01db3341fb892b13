"""
Attacks on a hub, without a key or with an ordinary one, each bounded in number and bytes.

Each goes on until it is cancelled. What it is refused it takes, and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import NamedTuple, SupportsIndex
from urllib.parse import urlsplit

from bench.events import EVENT

MIB = 1024 * 1024
ENDLESS_BYTES = 120 * MIB
PIECE = 64 * 1024
# A leaf that computes for most of the second that it may take.
SLOW_LEAF = "{% for i in (1..300) %}{% for j in (1..200) %}{% assign x = i | times: j %}{% endfor %}{% endfor %}"


REFUSAL = re.compile(rb'HTTP/1\.1 ([45]\d\d) .*?"code":"(\w+)"', re.DOTALL)
LONGEST_REFUSAL = 4096


class Target(NamedTuple):
    """The hub, keys of the attacker's, and how often it refused with each status and code."""

    address: str
    admin_key: str
    keys: list[str]
    refusals: Counter[str]


class _Reader(asyncio.StreamReader):
    """A reader that counts the refusals among the answers."""

    def __init__(self, refusals: Counter[str]) -> None:
        super().__init__(limit=PIECE)
        self._refusals = refusals
        self._tail = b""

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self._tail += bytes(data)
        while refusal := REFUSAL.search(self._tail):
            self._refusals[b" ".join(refusal.groups()).decode()] += 1
            self._tail = self._tail[refusal.end() :]
        self._tail = self._tail[-LONGEST_REFUSAL:]
        super().feed_data(data)


Attack = Callable[[Target], Awaitable[None]]


@contextlib.asynccontextmanager
async def _line(target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(target.address)
    loop = asyncio.get_running_loop()
    reader = _Reader(target.refusals)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, str(parts.hostname), parts.port or 80)
    try:
        yield reader, asyncio.StreamWriter(transport, protocol, reader, loop)
    finally:
        transport.abort()


async def _again_and_again(attempt: Callable[[], Awaitable[None]], count: int) -> None:
    """Run *count* attempts at once, and another one whenever one has ended."""

    async def repeat() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await attempt()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(repeat() for _ in range(count)))


def _head(method: str, path: str, key: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"X-API-Key: {key}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(PIECE):
        pass


async def endless_headers(target: Target) -> None:
    """Small headers without an end, over one connection after the other, of 120 MiB together."""
    await _endless(target, b"GET /events HTTP/1.1\r\nHost: bench\r\n", b"X-A: b\r\n" * 8000)


async def endless_value(target: Target) -> None:
    """One header value without an end."""
    await _endless(target, b"GET /events HTTP/1.1\r\nX-A: ", b"a" * PIECE)


async def _endless(target: Target, beginning: bytes, piece: bytes) -> None:
    left = ENDLESS_BYTES

    async def send() -> None:
        nonlocal left
        async with _line(target) as (_, writer):
            writer.write(beginning)
            while left > 0:
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
            await asyncio.sleep(60)

    await _again_and_again(send, 1)


async def half_heads(target: Target) -> None:
    """A thousand connections that send half a head."""

    async def send() -> None:
        async with _line(target) as (reader, writer):
            writer.write(b"GET /events HTTP/1.1\r\nHost: be")
            await _until_closed(reader)

    await _again_and_again(send, 1000)


async def half_bodies(target: Target) -> None:
    """400 bodies that stop one byte before 1 MiB."""

    async def send() -> None:
        async with _line(target) as (reader, writer):
            writer.write(_head("POST", "/events", target.keys[0], f"Content-Length: {MIB}"))
            for _ in range(MIB // PIECE - 1):
                writer.write(b" " * PIECE)
                await writer.drain()
            writer.write(b" " * (PIECE - 1))
            await _until_closed(reader)

    await _again_and_again(send, 400)


async def trickled_batches(target: Target) -> None:
    """Four batches of 16 MiB that come at 17 KB a second."""

    async def send() -> None:
        async with _line(target) as (_, writer):
            writer.write(_head("POST", "/events/batch", target.keys[0], f"Content-Length: {16 * MIB}"))
            while True:
                writer.write(b"\n" * 1700)
                await writer.drain()
                await asyncio.sleep(0.1)

    await _again_and_again(send, 4)


async def bad_lines(target: Target) -> None:
    """Four batches at once of 10,000 lines with 228 unknown fields each."""
    line = json.dumps({f"{number:x}": 0 for number in range(228)}, separators=(",", ":")).encode()
    body = (line[:1590] + b"}\n" if len(line) > 1591 else line + b"\n") * 10_000

    async def send() -> None:
        async with _line(target) as (reader, writer):
            length = f"Content-Length: {len(body)}"
            kind = "Content-Type: application/x-ndjson"
            writer.write(_head("POST", "/events/batch", target.keys[0], kind, length, "Connection: close"))
            writer.write(body)
            await writer.drain()
            await _until_closed(reader)

    await _again_and_again(send, 4)


async def unread_pages(target: Target) -> None:
    """Sixty pages of 10 MiB that are asked for and not read."""

    async def post(number: int) -> None:
        event = EVENT | {
            "PublisherEventId": f"large:{number}",
            "PublisherSystemId": "Large",
            "PublisherEventData": {"Text": "a" * 200_000},
        }
        body = json.dumps(event).encode()
        async with _line(target) as (reader, writer):
            length = f"Content-Length: {len(body)}"
            writer.write(_head("POST", "/events", target.keys[0], length, "Connection: close") + body)
            await _until_closed(reader)

    async def ask() -> None:
        async with _line(target) as (_, writer):
            writer.write(_head("GET", "/events?PublisherSystemId=Large&Limit=50", target.keys[0]))
            await asyncio.sleep(60)

    for number in range(50):
        await post(number)
    await _again_and_again(ask, 60)


async def previews(target: Target) -> None:
    """Sixty previews at once, each with templates of its own that compute for most of a second."""
    numbers = itertools.count()

    async def ask() -> None:
        templates = {"_default": {"A": f"{next(numbers)} {SLOW_LEAF * 8}"}}
        event = EVENT | {"PublisherEventId": "1", "EventType": "LPI_STARTED"}
        body = json.dumps({"Templates": templates, "Event": event}).encode()
        async with _line(target) as (reader, writer):
            length = f"Content-Length: {len(body)}"
            path = "/subscriptions/attacked/preview"
            writer.write(_head("POST", path, target.admin_key, length, "Connection: close") + body)
            await _until_closed(reader)

    await _again_and_again(ask, 60)


async def waiting_readers(target: Target) -> None:
    """400 readers, a hundred of each of four keys, that wait for events of another kind than come."""
    keys = itertools.cycle(target.keys)

    async def ask() -> None:
        path = "/events?ProgramId=BENCH&EventType=LPI_STARTED&Wait=30"
        async with _line(target) as (reader, writer):
            writer.write(_head("GET", path, next(keys), "Connection: close"))
            await _until_closed(reader)

    await _again_and_again(ask, 400)


async def followers(target: Target) -> None:
    """400 readers of four keys that wait at the end of the feed for whatever comes, and begin at it each time."""
    keys = itertools.cycle(target.keys)

    async def follow() -> None:
        key, cursor = next(keys), ""
        while True:
            async with _line(target) as (reader, writer):
                wait = f"&Wait=30&Cursor={cursor}" if cursor else "&Limit=1000"
                writer.write(_head("GET", f"/events?ProgramId=BENCH{wait}", key, "Connection: close"))
                answer = b""
                while piece := await reader.read(PIECE):
                    answer = (answer + piece)[-2000:]
                _, _, after = answer.rpartition(b'"NextCursor":"')
                cursor = after.partition(b'"')[0].decode() or cursor

    await _again_and_again(follow, 400)


async def guesses(target: Target) -> None:
    """Twenty connections that try one unknown key after the other."""
    numbers = itertools.count()

    async def ask() -> None:
        async with _line(target) as (reader, writer):
            while True:
                writer.write(_head("GET", "/events", f"guess-{next(numbers):040}"))
                await reader.readuntil(b"}")

    await _again_and_again(ask, 20)


# Those whose effect is one on deliveries.
ON_DELIVERIES = {"60 slow previews: p95 of delivering"}
ATTACKS: dict[str, Attack] = {
    "headers without an end": endless_headers,
    "a header value without an end": endless_value,
    "1,000 half heads": half_heads,
    "400 half bodies of 1 MiB": half_bodies,
    "4 batches that trickle": trickled_batches,
    "4 batches of bad lines": bad_lines,
    "60 pages of 10 MiB, not read": unread_pages,
    "60 slow previews: p95 of delivering": previews,
    "400 waiting readers that nothing comes for": waiting_readers,
    "400 followers of the feed": followers,
    "20 connections that guess keys": guesses,
}
