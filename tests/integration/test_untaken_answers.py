"""What callers cost who ask and do not read: the bytes of their answers, and how long they are kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import psutil
import pytest
from factories import an_event_body
from running import RunningHub, eventually, running_hub, served

from learning_hub.api.http.answer_budget import AnswerBudget
from learning_hub.cli.serving.protocol import MOST_PIPELINED, Protocol
from learning_hub.main import run_hub
from learning_hub.model.errors import TooManyAnswers, Unavailable
from learning_hub.settings import Settings
from learning_hub.store.database import Database

MIB = 1024 * 1024
PAGE = "/events?ProgramId=NURSES&Limit=1000"


def a_get(key: str, path: str = PAGE) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: hub\r\nX-API-Key: {key}\r\n\r\n".encode()


class Asker:
    """A caller that asks, and reads when it is told to."""

    def __init__(self, address: str) -> None:
        where = urlsplit(address)
        self._socket = socket.socket()
        # The system's own buffers are small, so that what is not read stays at the hub.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._socket.setblocking(False)
        self._where = (where.hostname, where.port)

    async def ask(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, self._where)
        await loop.sock_sendall(self._socket, request)

    async def read(self, size: int = 2**63) -> bytes:
        """At least *size* bytes, or all until the hub hangs up."""
        read = bytearray()
        async with asyncio.timeout(30):
            try:
                while len(read) < size and (piece := await asyncio.get_running_loop().sock_recv(self._socket, 65536)):
                    read += piece
            except ConnectionError:
                pass
        return bytes(read)

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def asking(address: str, requests: list[bytes]) -> AsyncIterator[list[Asker]]:
    """Askers of *requests*, one each."""
    async with AsyncExitStack() as stack:
        askers = [Asker(address) for _ in requests]
        for asker, request in zip(askers, requests, strict=True):
            stack.callback(asker.close)
            await asker.ask(request)
        yield askers


async def publish_a_large_page(hub: RunningHub, *, mebibytes: int) -> None:
    await hub.make_program()
    lines = [
        an_event_body(PublisherEventId=f"{number}", PublisherEventData={"Text": "a" * 200_000})
        for number in range(5 * mebibytes)
    ]
    for start in range(0, len(lines), 25):
        (await hub.client.post("/events/batch", json=lines[start : start + 25])).raise_for_status()


async def test_answers_that_are_not_read_hold_the_share_of_their_key(hub_without_worker: RunningHub) -> None:
    """Of eighty pages of 2 MiB that nobody reads the hub holds 32 MiB; that key is then 429, and others go on."""
    hub = hub_without_worker
    await publish_a_large_page(hub, mebibytes=2)
    reader, other = await hub.make_key("read"), await hub.caller("read", "publish")
    before = psutil.Process().memory_info().rss
    async with asking(hub.address, [a_get(reader)] * 80):
        await eventually(lambda: _is_full(hub))
        assert hub.answer_budget.held <= 32 * MIB
        # What is being read and encoded comes beside it.
        assert psutil.Process().memory_info().rss - before < 100 * MIB
        assert (await other.post("/events", json=an_event_body())).status_code == 201
        assert (await other.get(PAGE)).status_code == 200
        refused = await hub.client_with(reader).get(PAGE)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_answers")
        assert refused.headers["Retry-After"]
    await eventually(lambda: _holds(hub, 0))
    assert (await hub.client_with(reader).get(PAGE)).status_code == 200


async def _is_full(hub: RunningHub) -> bool:
    return hub.answer_budget.held > 24 * MIB


async def _holds(hub: RunningHub, size: int) -> bool:
    return hub.answer_budget.held == size


class ImpatientProtocol(Protocol):
    """The protocol that waits only a moment for a response to be taken."""

    untaken_seconds = 0.4


async def test_an_answer_of_which_nothing_is_taken_is_given_up(settings: Settings, database: Database) -> None:
    """A connection is closed once its peer has taken nothing for a while; one that takes its answer slowly is not."""
    async with running_hub(settings, database, with_worker=False) as hub:
        await publish_a_large_page(hub, mebibytes=8)
        key = await hub.make_key("read")
    async with (
        run_hub(settings, database, with_worker=False) as app,
        served(app, ImpatientProtocol) as address,
        asking(address, [a_get(key), a_get(key)]) as (slow, stuck),
    ):
        read = 0
        while read < 7 * MIB:
            read += len(await slow.read(MIB))
            await asyncio.sleep(0.15)
        await eventually(lambda: _nothing_held(app.answer_budget))
        assert len(await stuck.read()) < 7 * MIB


async def _nothing_held(budget: AnswerBudget) -> bool:
    return budget.held == 0


async def test_a_connection_has_few_requests_waiting(hub_without_worker: RunningHub) -> None:
    """Of requests sent in a row without waiting, a hundred wait; the connection ends after the answers to them."""
    async with asking(hub_without_worker.address, [a_get("unknown") * 1000]) as (asker,):
        answers = (await asker.read()).count(b"HTTP/1.1 401 ")
    assert MOST_PIPELINED <= answers <= MOST_PIPELINED + 1


def test_the_budget_of_answers() -> None:
    """A key may have a quarter of the bytes, or one answer that is larger; all together may have the whole."""
    budget = AnswerBudget(40, most=4, most_of_key=3)
    budget.need_room("a", 30)
    budget.begin("a", 30)
    with pytest.raises(TooManyAnswers):
        budget.need_room("a")
    budget.need_room("b", 10)
    budget.begin("b", 10)
    budget.need_room("b")
    with pytest.raises(TooManyAnswers):
        budget.need_room("b", 1)
    with pytest.raises(Unavailable):
        budget.need_room("c", 1)
    budget.end("a", 30)
    budget.need_room("c", 1)
    for _ in range(3):
        budget.begin("c", 0)
    with pytest.raises(TooManyAnswers):
        budget.need_room("c")
    with pytest.raises(Unavailable):
        budget.need_room("d", 1)
    budget.need_room("d")
