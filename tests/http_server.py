"""A real HTTP server for tests that answers as the test says: with any status, late, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from learning_hub.model.json_values import read_json


@dataclass
class Received:
    """One request; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str] = field(init=False)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path, self.query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))

    @property
    def value(self) -> Any:
        """The body as JSON, numbers as they are spelled."""
        return read_json(self.body)

    @property
    def lines(self) -> list[Any]:
        """The body as JSON Lines."""
        return [read_json(line) for line in self.body.split(b"\n") if line]


@dataclass
class Says:
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def written(self) -> bytes:
        head = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status:03} Said", *(f"{name}: {value}" for name, value in head.items())]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass
class Fault:
    """
    What goes wrong with a request that writes.

    *carried_out* says whether the server acts on it all the same; *says* is the answer in place of its own, *raw* bytes
    in place of any, *spelled* makes the bytes from its own answer; with none of them the line is cut. *after_seconds*
    go by before it answers; with *and_stalls* the line then stays open.
    """

    carried_out: bool = False
    says: Says | None = None
    raw: bytes | None = None
    spelled: Callable[[Says], bytes] | None = None
    after_seconds: float = 0
    and_stalls: bool = False


class HttpServer:
    """
    Takes down requests and carries them out as `handle` says.

    *faults* are used up one by one by requests that `writes` says something is written with; *standing* hits every
    one of them.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.faults: list[Fault] = []
        self.standing: Fault | None = None
        self.connections = 0
        self.port = 0
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: Received) -> Says:
        """Carry a request out."""
        return Says()

    def writes(self, request: Received) -> bool:
        """Whether a request is meant to change something."""
        return True

    def fail(self, *faults: Fault) -> None:
        """What goes wrong with the next requests."""
        self.faults += faults

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """The answer of the next request, which is not carried out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.fail(Fault(says=Says(status, body, named)))

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone; `start(port)` brings it back."""
        if self._server:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        self.connections += 1
        try:
            # Cancelled by `stop`, it just ends: a task that ends so otherwise is taken for a fault by asyncio.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve(await _read_request(reader), writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false where the line ends with it."""
        self.received.append(request)
        fault = None
        if self.writes(request):
            fault = self.faults.pop(0) if self.faults else self.standing
        said = await self.handle(request) if fault is None or fault.carried_out else None
        if fault is not None:
            await asyncio.sleep(fault.after_seconds)
            if fault.spelled is not None and said is not None:
                writer.write(fault.spelled(said))
                await writer.drain()
                await asyncio.sleep(60 if fault.and_stalls else 0)
                return False
            if fault.raw is not None or fault.says is None:
                writer.write(fault.raw or b"")
                await writer.drain()
                return False
            said = fault.says
        assert said
        writer.write(said.written())
        await writer.drain()
        return request.headers.get("connection") != "close"


@asynccontextmanager
async def running(server: HttpServer) -> AsyncIterator[None]:
    """The server while it listens on a free port."""
    await server.start()
    try:
        yield
    finally:
        await server.stop()


class Receiver(HttpServer):
    """A webhook's receiver: *taken* are the requests that it carried out."""

    def __init__(self, handle: Callable[[Received], Awaitable[Says]] | None = None) -> None:
        super().__init__()
        self.taken: list[Received] = []
        self._handle = handle

    async def handle(self, request: Received) -> Says:
        self.taken.append(request)
        return await self._handle(request) if self._handle else Says(204)


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, target, headers, body)
