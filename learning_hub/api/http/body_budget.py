"""The body budget: how many bytes of large bodies one process holds at once; other requests wait, first come first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from learning_hub.model.errors import Unavailable

WAIT_SECONDS = 10


class BodyBudget:
    """A budget of *size* bytes."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """
        Take *size* bytes of the budget, at most the whole of it, for the time of the block.

        Raises:
            Unavailable: The budget was used up for ten seconds.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._lock:
                while self._left < size:
                    self._freed.clear()
                    await self._freed.wait()
                self._left -= size
        except TimeoutError:
            raise Unavailable("Too many large bodies are being received.", retry_after_seconds=5) from None
        try:
            yield
        finally:
            self._left += size
            self._freed.set()
