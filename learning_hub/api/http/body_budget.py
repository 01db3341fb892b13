"""How many bytes of large bodies one process holds at once; who comes when there is no room waits, in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from learning_hub.model.errors import Unavailable

WAIT_SECONDS = 10


class BodyBudget:
    """Room for *size* bytes of bodies."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """
        Hold room for *size* bytes, which is at most what there is in all.

        Raises:
            Unavailable: There was none within ten seconds.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._turn:
                while self._left < size:
                    self._freed.clear()
                    await self._freed.wait()
                self._left -= size
        except TimeoutError:
            raise Unavailable("Too many large bodies are being taken in.", retry_after_seconds=5) from None
        try:
            yield
        finally:
            self._left += size
            self._freed.set()
