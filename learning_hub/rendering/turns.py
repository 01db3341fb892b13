"""Who may render next: processes are lent out so that one template cannot keep the others waiting."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from learning_hub.rendering.process import RenderingProcess

STOPPED_SECONDS = 600.0
MOST_STOPPED = 10_000


class Turns:
    """
    Lends out *processes*; who waits is served in turn by key, not in the order of arrival.

    A key stands for one set of templates. It never has all processes at once where there are several, and nor have all
    those together that had to be stopped lately: templates that take long slow down themselves alone.
    """

    def __init__(self, processes: Sequence[RenderingProcess]) -> None:
        # The last one used is the first to be used again: as long as one keeps up, the others need not even start.
        self._idle = list(reversed(processes))
        self._most_at_once = max(1, len(processes) - 1)
        # Keys that had to be stopped, and until when that counts, on the monotonic clock.
        self._stopped: dict[str, float] = {}
        self._in_use: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[RenderingProcess]]] = {}

    @asynccontextmanager
    async def process(self, key: str) -> AsyncIterator[RenderingProcess]:
        """A process for the templates *key*, once it is their turn."""
        process = await self._next(key)
        try:
            yield process
        finally:
            self._give_back(key, process)

    def note_stopped(self, key: str) -> None:
        """The templates *key* took too long: for a while they share what all such templates may have at once."""
        if len(self._stopped) >= MOST_STOPPED:
            self._stopped.clear()
        self._stopped[key] = time.monotonic() + STOPPED_SECONDS

    async def _next(self, key: str) -> RenderingProcess:
        turn: asyncio.Future[RenderingProcess] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        self._lend()
        try:
            return await turn
        except asyncio.CancelledError:
            # It may have been lent and cancelled at the same moment.
            if turn.done() and not turn.cancelled():
                self._give_back(key, turn.result())
            raise

    def _give_back(self, key: str, process: RenderingProcess) -> None:
        self._in_use[key] -= 1
        if not self._in_use[key]:
            del self._in_use[key]
        self._idle.append(process)
        self._lend()

    def _lend(self) -> None:
        while self._idle and (key := self._whose_turn()) is not None:
            self._lend_to(key)

    def _whose_turn(self) -> str | None:
        """Of the keys that may have one more, the one that waits longest since it had one."""
        stopped_in_use = sum(count for key, count in self._in_use.items() if self._was_stopped(key))
        return next(
            (
                key
                for key in self._waiting
                if self._in_use[key] < self._most_at_once
                and (stopped_in_use < self._most_at_once or not self._was_stopped(key))
            ),
            None,
        )

    def _was_stopped(self, key: str) -> bool:
        return self._stopped.get(key, 0.0) > time.monotonic()

    def _lend_to(self, key: str) -> None:
        waiting = self._waiting.pop(key)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(self._idle.pop())
                self._in_use[key] += 1
                break
        if waiting:
            # Behind the others: a dict keeps the order in which keys came into it.
            self._waiting[key] = waiting
