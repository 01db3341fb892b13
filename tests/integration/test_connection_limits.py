"""What a connection may cost before a request is read: the size and time of heads, and the number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import psutil
import pytest
from factories import an_event_body
from running import ADMIN_KEY, RunningHub, running_hub, served

from learning_hub.cli.serving.protocol import Protocol
from learning_hub.main import run_hub
from learning_hub.settings import Settings
from learning_hub.store.database import Database

KEY = f"X-API-Key: {ADMIN_KEY}\r\n".encode()
GET = b"GET /programs HTTP/1.1\r\nHost: hub\r\n" + KEY
HEAD_BYTES = 32 * 1024
MIB = 1024 * 1024


class HastyProtocol(Protocol):
    """The protocol with little patience, for few connections."""

    head_seconds = 0.3
    body_stall_seconds = 0.3
    unread_body_seconds = 0.3
    max_connections = 5


class Peer:
    """A connection to the hub."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> int:
        """Send *pieces* until the hub hangs up; returns how many bytes could be sent."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
                sent += len(piece)
        return sent

    async def answer(self) -> bytes:
        """All that the hub answers before it hangs up."""
        answer = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                while piece := await self._reader.read(65536):
                    answer += piece
        self._writer.close()
        return answer

    async def response(self) -> tuple[int, dict[str, object]]:
        """The status and the JSON of the next response."""
        async with asyncio.timeout(30):
            head = await self._reader.readuntil(b"\r\n\r\n")
            lines = head.decode().lower().splitlines()
            length = next(int(line.split(": ")[1]) for line in lines if line.startswith("content-length"))
            return int(lines[0].split()[1]), json.loads(await self._reader.readexactly(length) or b"{}")


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Peer]:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def hasty(settings: Settings, database: Database) -> AsyncIterator[str]:
    """The address of a hub with little patience, with the Program NURSES."""
    async with running_hub(settings, database, with_worker=False) as hub:
        await hub.make_program()
    async with run_hub(settings, database, with_worker=False) as app, served(app, HastyProtocol) as address:
        yield address


def endless(piece: bytes) -> list[bytes]:
    """Over a hundred MiB, in one MiB of memory."""
    return [piece * (MIB // len(piece))] * 110


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"GET /programs HTTP/1.1\r\n", b"a: b\r\n"),
        (b"GET /programs HTTP/1.1\r\nA: ", b"b"),
        (b"GET /programs HTTP/1.1\r\n", b"a"),
        (b"GET /", b"a"),
        (b"", b"\r\n"),
        (b"GET /programs HTTP/1.1\r\nHost: hub\r\n\r\nGET /programs HTTP/1.1\r\n", b"a: b\r\n"),
    ],
    ids=["headers", "value", "name", "address", "blank lines", "after a request"],
)
async def test_an_endless_head_ends(hub_without_worker: RunningHub, begun: bytes, piece: bytes) -> None:
    """A head without an end is refused with 431 after 32 KiB, and costs the hub no memory."""
    before = psutil.Process().memory_info().rss
    async with connected(hub_without_worker.address) as peer:
        sent = await peer.send(begun, *endless(piece))
        answer = await peer.answer()
    assert sent < 100 * MIB
    # The test itself holds a piece or two.
    assert psutil.Process().memory_info().rss - before < 20 * MIB
    # A caller that sends on and on may see the end of the connection instead of the answer.
    assert b"HTTP/1.1 431 " in answer or b"HTTP/1.1 2" not in answer


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize(
    "form",
    [b"GET /programs HTTP/1.1\r\n" + KEY + b"A: %s\r\n\r\n", b"GET /programs?%s HTTP/1.1\r\n" + KEY + b"\r\n"],
    ids=["header", "address"],
)
async def test_the_limit_of_a_head(hub_without_worker: RunningHub, form: bytes, extra: int) -> None:
    """A head of 32 KiB is read; one byte more is 431 `head_too_large`, and the connection ends."""
    head = form % (b"a" * (HEAD_BYTES - len(form) + len(b"%s") + extra))
    async with connected(hub_without_worker.address) as peer:
        await peer.send(head)
        status, problem = await peer.response()
        if not extra:
            assert status in (200, 400)
            assert problem.get("code") in (None, "invalid_fields")
        else:
            assert (status, problem["code"], problem["instance"]) == (431, "head_too_large", "/")
            assert await peer.answer() == b""


async def test_too_many_headers(hub_without_worker: RunningHub) -> None:
    """A thousand headers are read; more are 431."""
    for count, status in ((990, 200), (1010, 431)):
        async with connected(hub_without_worker.address) as peer:
            await peer.send(GET + b"a: b\r\n" * count + b"\r\n")
            assert (await peer.response())[0] == status


async def test_a_large_head_in_a_pipeline_and_on_a_used_connection(hub_without_worker: RunningHub) -> None:
    """Each request of a connection has the whole limit for its head."""
    head = GET + b"A: " + b"a" * 30_000 + b"\r\n\r\n"
    async with connected(hub_without_worker.address) as peer:
        await peer.send(head)
        assert (await peer.response())[0] == 200
        await peer.send(head + head + head)
        assert [(await peer.response())[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("begun", [b"GET", GET, GET + b"\r\n" + GET, b"\r\n"])
async def test_a_slow_head_ends(hasty: str, begun: bytes) -> None:
    """A head that does not come to its end is answered 408 after its time, also after another request."""
    async with connected(hasty) as peer:
        await peer.send(begun)
        answer = await peer.answer()
    assert answer.count(b"HTTP/1.1 408 ") == 1
    assert b'"head_too_slow"' in answer
    assert answer.count(b"HTTP/1.1 200 ") == begun.count(b"\r\n\r\n")


async def test_a_trickling_head_ends(hasty: str) -> None:
    """Bytes that keep coming do not prolong the time of a head."""
    async with connected(hasty) as peer:
        trickle = asyncio.create_task(_trickle(peer))
        async with asyncio.timeout(5):
            assert b"HTTP/1.1 408 " in await peer.answer()
        trickle.cancel()


async def _trickle(peer: Peer) -> None:
    await peer.send(GET)
    for _ in range(100):
        await peer.send(b"a: b\r\n")
        await asyncio.sleep(0.05)


async def test_a_connection_without_a_request_ends(hasty: str) -> None:
    """A connection on which nothing comes is closed without an answer."""
    async with connected(hasty) as peer:
        assert await peer.answer() == b""


async def test_a_body_that_nobody_reads_ends(hasty: str) -> None:
    """After a request was refused, its body may not go on for ever."""
    async with connected(hasty) as peer:
        await peer.send(b"POST /events HTTP/1.1\r\nHost: hub\r\nContent-Length: 100000\r\n\r\n{")
        answer = await peer.answer()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1") == 1


POST = b"POST /events HTTP/1.1\r\nHost: hub\r\nContent-Length: 10000\r\n" + KEY + b"\r\n{"


async def test_a_body_that_stands_still_ends(hasty: str) -> None:
    """A body of which nothing comes any more is 408, and the connection ends."""
    async with connected(hasty) as peer:
        await peer.send(POST)
        answer = await peer.answer()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_too_slow"' in answer


async def test_a_body_that_trickles_ends(hasty: str) -> None:
    """A body that comes slower than a kibibyte a second is 408, although it never stands still."""
    async with connected(hasty) as peer:
        await peer.send(POST)
        trickle = asyncio.create_task(_trickle(peer))
        async with asyncio.timeout(5):
            assert b"HTTP/1.1 408 " in await peer.answer()
        trickle.cancel()


async def test_a_slow_body_that_is_fast_enough_is_read(hasty: str) -> None:
    """A body that takes long, and comes at the rate, is read."""
    body = json.dumps(an_event_body(PublisherEventData={"Text": "a" * 4000})).encode()
    async with connected(hasty) as peer:
        await peer.send(POST.replace(b"10000", b"%d" % len(body)).removesuffix(b"{"))
        for at in range(0, len(body), 400):
            await peer.send(body[at : at + 400])
            await asyncio.sleep(0.08)
        assert (await peer.response())[0] == 201


async def test_bodies_that_stop_halfway_hold_no_memory(hub_without_worker: RunningHub) -> None:
    """Of a hundred bodies that stop before their last byte, the hub holds the share of their key, and others go on."""
    hub = hub_without_worker
    await hub.make_program()
    stopped = b"POST /events HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n" % MIB + KEY + b"\r\n"
    half = b"x" * (MIB - 1)
    before = psutil.Process().memory_info().rss
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(hub.address)) for _ in range(100)]
        sending = [asyncio.create_task(peer.send(stopped, half)) for peer in peers]
        await asyncio.sleep(2)
        other = await hub.caller("publish", programs=["NURSES"])
        assert (await other.post("/events", json=an_event_body())).status_code == 201
        assert psutil.Process().memory_info().rss - before < 80 * MIB
        for task in sending:
            task.cancel()


@pytest.mark.parametrize("trailer", [KEY, f"Authorization: Bearer {ADMIN_KEY}\r\n".encode(), b"Idempotency-Key: a\r\n"])
@pytest.mark.parametrize("is_one_packet", [True, False])
async def test_trailers_are_no_headers(hub_without_worker: RunningHub, trailer: bytes, is_one_packet: bool) -> None:
    """Fields after a chunked body count for nothing, also in the packet of the head: neither a key nor another."""
    await hub_without_worker.make_program()
    body = json.dumps(an_event_body()).encode()
    chunks = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    unauthenticated = b"POST /events HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with connected(hub_without_worker.address) as peer:
        await peer.send(*_in_packets(unauthenticated + chunks + trailer + b"\r\n", is_one_packet))
        assert (await peer.response())[1]["code"] == "not_authenticated"
        # The connection goes on, and a trailer overrides no header of the head.
        head = b"POST /events HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n" + KEY + b"\r\n"
        for _ in range(2):
            other = b"X-API-Key: unknown\r\nAuthorization: Bearer unknown\r\nContent-Type: text/plain\r\n\r\n"
            await peer.send(*_in_packets(head + chunks + other, is_one_packet))
            assert (await peer.response())[0] in (200, 201)


def _in_packets(sent: bytes, is_one_packet: bool) -> list[bytes]:
    return [sent] if is_one_packet else [sent[at : at + 40] for at in range(0, len(sent), 40)]


@pytest.mark.parametrize("begun", [b"0\r\nA: ", b"0\r\n", b"5;a="])
async def test_endless_trailers_end(hub_without_worker: RunningHub, begun: bytes) -> None:
    """Trailers and extensions of chunks without an end are refused, and cost the hub no memory."""
    head = b"POST /events HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n" + KEY + b"\r\n"
    piece = b"a: b\r\n" if begun == b"0\r\n" else b"a"
    before = psutil.Process().memory_info().rss
    async with connected(hub_without_worker.address) as peer:
        assert await peer.send(head, begun, *endless(piece)) < 100 * MIB
    assert psutil.Process().memory_info().rss - before < 20 * MIB


async def test_idle_connections_make_room(hasty: str) -> None:
    """Of too many connections, the one that has been idle longest is ended, so that requests on new ones go on."""
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(hasty)) for _ in range(12)]
        for peer in peers:
            await peer.send(b"GET /programs HTTP/1.1\r\n")
        for _ in range(5):
            new = await stack.enter_async_context(connected(hasty))
            await new.send(GET + b"\r\n")
            assert (await new.response())[0] == 200
        assert b"HTTP/1.1 503 " in await peers[0].answer()


async def test_connections_beyond_the_limit_are_refused(hasty: str) -> None:
    """Where every connection has a request under way, a new one is 503, and those go on."""
    wait = b"GET /events?ProgramId=NURSES&Wait=2 HTTP/1.1\r\nHost: hub\r\n" + KEY + b"\r\n"
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(hasty)) for _ in range(5)]
        for peer in peers:
            await peer.send(wait)
        await asyncio.sleep(0.3)
        new = await stack.enter_async_context(connected(hasty))
        answer = await new.answer()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"too_many_connections"' in answer
        assert b"retry-after: 1\r\n" in answer
        assert [(await peer.response())[0] for peer in peers] == [200] * 5
