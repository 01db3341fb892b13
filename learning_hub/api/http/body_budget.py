"""
The body budget: how many bodies one process receives at once, and how many bytes of them it holds, for all and by key.

What counts is what has arrived, so that a body that is declared large and comes slowly is in nobody's way. Bodies that
arrive together with their head, as nearly all do, are not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from learning_hub.model.errors import TooManyBodies, Unavailable

WAIT_SECONDS = 10
RETRY_SECONDS = 5


class Body:
    """A body that is being received with a key, or has been received and is held."""

    def __init__(self, budget: BodyBudget, key: _Key) -> None:
        self._budget = budget
        self._key = key
        self.held = 0

    async def grow(self, size: int) -> None:
        """
        Hold *size* more bytes. The oldest body may always grow, as may the oldest of its key, so that one of them ends.

        Raises:
            Unavailable: All bodies together held too much for ten seconds.
            TooManyBodies: Those of the key did.
        """
        await self._budget.wait_for(lambda: self._key.has_room_for(self, size), TooManyBodies(RETRY_SECONDS))
        await self._budget.wait_for(lambda: self._budget.has_room_for(self, size), _unavailable())
        self.held += size


class _Key:
    """The bodies of one key, the oldest first, and the bytes that some of them reserved."""

    def __init__(self, share: int) -> None:
        self.bodies: dict[Body, None] = {}
        self.reserved = 0
        self.turn = asyncio.Lock()
        self._share = share

    def has_room_for(self, body: Body, size: int) -> bool:
        return next(iter(self.bodies)) is body or sum(each.held for each in self.bodies) + size <= self._share

    def can_reserve(self, size: int) -> bool:
        return self.reserved == 0 or self.reserved + size <= self._share


class BodyBudget:
    """
    A budget of *size* bytes, of which the bodies of one key may hold half.

    *most* bodies are received at once, of one key *most_of_key*.
    """

    def __init__(self, size: int, *, most: int = 400, most_of_key: int = 100) -> None:
        self._size = size
        self._most = most
        self._most_of_key = most_of_key
        self._keys: dict[str, _Key] = {}
        self._bodies: dict[Body, None] = {}
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def body(self, key_id: str, *, reserved: int = 0) -> AsyncIterator[Body]:
        """
        A body with a key, for the time that it is received and held.

        With *reserved* bytes it waits until the bodies of its key that reserved some leave it room, first come first
        served: one that would have to stop halfway does not begin.

        Raises:
            TooManyBodies: Too many of the key are received, or those before it held their bytes for ten seconds.
            Unavailable: Too many are received in all.
        """
        key = self._keys.setdefault(key_id, _Key(self._size // 2))
        if len(key.bodies) >= self._most_of_key:
            raise TooManyBodies(RETRY_SECONDS)
        if len(self._bodies) >= self._most:
            raise _unavailable()
        body = Body(self, key)
        key.bodies[body] = self._bodies[body] = None
        taken = 0
        try:
            if reserved:
                await self._reserve(key, reserved)
                taken = reserved
            yield body
        finally:
            key.reserved -= taken
            del key.bodies[body], self._bodies[body]
            if not key.bodies:
                self._keys.pop(key_id, None)
            self._freed.set()

    def has_room_for(self, body: Body, size: int) -> bool:
        """Whether *body* may hold *size* more bytes beside all others."""
        return next(iter(self._bodies)) is body or self.held + size <= self._size

    @property
    def held(self) -> int:
        """The bytes that all bodies hold."""
        return sum(body.held for body in self._bodies)

    async def wait_for(self, has_room: Callable[[], bool], error: Exception) -> None:
        """Wait until there is room; *error* is raised after ten seconds without."""
        if has_room():
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not has_room():
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise error from None

    async def _reserve(self, key: _Key, size: int) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS), key.turn:
                while not key.can_reserve(size):
                    self._freed.clear()
                    await self._freed.wait()
                key.reserved += size
        except TimeoutError:
            raise TooManyBodies(RETRY_SECONDS) from None


def _unavailable() -> Unavailable:
    return Unavailable("Too many large bodies are being received.", retry_after_seconds=RETRY_SECONDS)
