"""
The pool of render processes, with fair scheduling between templates, and deliveries before previews.

A key identifies the templates of one subscription; for previews it identifies the caller, because a caller can send
other templates with each. Waiting keys are served in rotation and not in the order of arrival. If there are several
processes, one key never uses all of them, and neither do all slow keys together. Templates that take long thus delay
only themselves, and previews only those of the same caller. Nor do all previews together use all processes: deliveries
always have a process that no preview holds.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from learning_hub.rendering.worker_process import WorkerProcess

# Seconds for which a key counts as slow after a process was stopped because of it.
SLOW_SECONDS = 600.0
_MAX_SLOW_KEYS = 10_000


class _Key(NamedTuple):
    """The templates of a delivery, or the caller of a preview."""

    name: str
    is_preview: bool


class WorkerPool:
    """Lends out *processes*, each to one caller at a time."""

    def __init__(self, processes: Sequence[WorkerProcess]) -> None:
        # The process used last is used next, so that the others need not start as long as one is enough.
        self._idle = list(reversed(processes))
        self._max_per_key = max(1, len(processes) - 1)
        # The time until which each key counts as slow, on the monotonic clock.
        self._slow_until: dict[str, float] = {}
        self._in_use: Counter[_Key] = Counter()
        # Waiting keys in the order of their next service; a dict keeps its keys in the order of insertion.
        self._waiting: dict[_Key, deque[asyncio.Future[WorkerProcess]]] = {}

    @asynccontextmanager
    async def worker(self, templates: str, *, preview_for: str | None = None) -> AsyncIterator[WorkerProcess]:
        """
        Lend a process as soon as fair scheduling assigns one.

        Args:
            templates: The templates to render.
            preview_for: The caller for whom this is a preview; None for a delivery.
        """
        key = _Key(templates, is_preview=False) if preview_for is None else _Key(preview_for, is_preview=True)
        process = await self._acquire(key)
        try:
            yield process
        finally:
            self._release(key, process)

    def mark_slow(self, templates: str) -> None:
        """Count *templates* as slow for SLOW_SECONDS, because a process had to be stopped for a delivery of theirs."""
        if len(self._slow_until) >= _MAX_SLOW_KEYS:
            self._slow_until.clear()
        self._slow_until[templates] = time.monotonic() + SLOW_SECONDS

    async def _acquire(self, key: _Key) -> WorkerProcess:
        waiter: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(waiter)
        self._schedule()
        try:
            return await waiter
        except asyncio.CancelledError:
            # The waiter can get a process and be cancelled at the same moment.
            if waiter.done() and not waiter.cancelled():
                self._release(key, waiter.result())
            raise

    def _release(self, key: _Key, process: WorkerProcess) -> None:
        self._in_use[key] -= 1
        if not self._in_use[key]:
            del self._in_use[key]
        self._idle.append(process)
        self._schedule()

    def _schedule(self) -> None:
        while self._idle and (key := self._next_key()) is not None:
            self._serve(key)

    def _next_key(self) -> _Key | None:
        """Of the keys that may use one more process, that of a delivery, or else of a preview, which waited longest."""
        previews_in_use = sum(count for key, count in self._in_use.items() if key.is_preview)
        slow_in_use = sum(count for key, count in self._in_use.items() if self._is_slow(key))
        return next(
            (
                key
                for key in sorted(self._waiting, key=lambda waiting: waiting.is_preview)
                if self._in_use[key] < self._max_per_key
                and (slow_in_use < self._max_per_key or not self._is_slow(key))
                and (previews_in_use < self._max_per_key or not key.is_preview)
            ),
            None,
        )

    def _is_slow(self, key: _Key) -> bool:
        return not key.is_preview and self._slow_until.get(key.name, 0.0) > time.monotonic()

    def _serve(self, key: _Key) -> None:
        """Give an idle process to the first waiter of *key*, and move the key behind the others."""
        waiters = self._waiting.pop(key)
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(self._idle.pop())
                self._in_use[key] += 1
                break
        if waiters:
            self._waiting[key] = waiters
