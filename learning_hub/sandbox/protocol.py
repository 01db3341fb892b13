"""A uvicorn protocol with which the application can abort a connection and set the reason phrase of a response."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ReasonPhraseTransport:
    """A transport that replaces the reason phrase in the next status line; it delegates everything else."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._phrase: bytes | None = None

    def set_reason(self, phrase: str) -> None:
        """Use *phrase* in the next response. HTTP/1.1 lets a server choose it, but ASGI has no field for it."""
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
    """HTTP/1.1 with the ASGI extension `sandbox.connection`, which has `abort` and `set_reason`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", ReasonPhraseTransport(transport)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        transport = cast("ReasonPhraseTransport", self.transport)
        extension: dict[object, object] = {"abort": transport.abort, "set_reason": transport.set_reason}
        self.scope["extensions"] = {"sandbox.connection": extension}
