"""A server protocol that lets the application close a connection unanswered and choose the reason phrase."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PhrasingTransport:
    """A transport that puts a phrase of ours into the next status line; all else goes to the one it wraps."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._phrase: bytes | None = None

    def say(self, phrase: str) -> None:
        """Use *phrase* in the next answer: HTTP/1.1 lets a server choose it, ASGI has no word for it."""
        self._phrase = phrase.encode("ascii", "replace")

    def write(self, data: bytes) -> None:
        if self._phrase is not None and data.startswith(b"HTTP/1.1 "):
            status_line, _, rest = data.partition(b"\r\n")
            version, status = status_line.split(b" ", 2)[:2]
            data = b" ".join([version, status, self._phrase]) + b"\r\n" + rest
            self._phrase = None
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class SandboxProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the extension `sandbox.connection`: `abort` and `say`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", PhrasingTransport(transport)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        transport = cast("PhrasingTransport", self.transport)
        extension: dict[object, object] = {"abort": transport.abort, "say": transport.say}
        self.scope["extensions"] = {"sandbox.connection": extension}
