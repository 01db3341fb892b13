"""Requests to the API in this process, without a server; what is streamed can be read while it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class InProcess(httpx.AsyncBaseTransport):
    """Carries requests to an ASGI application."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the application as soon as it begins; whatever the application raises, it raises."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "server": (request.url.host, request.url.port),
            "client": ("127.0.0.1", 0),
            "root_path": "",
        }
        content = _Content(self._app, scope, await request.aread())
        begun = await content.next()
        return httpx.Response(begun["status"], headers=begun["headers"], stream=content)


class _Content(httpx.AsyncByteStream):
    """The content of one answer, which the application goes on to give until it is closed."""

    def __init__(self, app: App, scope: Message, body: bytes) -> None:
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._to_receive: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._is_over = asyncio.Event()
        self._task = asyncio.ensure_future(app(scope, self._receive, self._messages.put))
        self._task.add_done_callback(lambda _: self._messages.put_nowait(None))

    async def next(self) -> Message:
        """What the application sends next."""
        message = await self._messages.get()
        if message is None:
            self._task.result()
            raise httpx.RemoteProtocolError("The application ended before its answer did.")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        is_more = True
        while is_more:
            message = await self.next()
            is_more = message.get("more_body", False)
            yield message.get("body", b"")

    async def aclose(self) -> None:
        """Hang up; an application that heeds it not is stopped."""
        self._is_over.set()
        await asyncio.wait([self._task], timeout=1)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._task

    async def _receive(self) -> Message:
        if self._to_receive:
            return self._to_receive.pop()
        await self._is_over.wait()
        return {"type": "http.disconnect"}
