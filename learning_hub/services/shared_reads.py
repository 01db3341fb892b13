"""
Shared reads: how the requests that wait for entries of a feed read it when an entry was committed.

Every commit wakes them all. Without a bound, a few hundred of them would read for as long as others publish, and hold
up everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from learning_hub.model.feed import FeedFilter, Position
from learning_hub.store.feed import FeedPart

Read = Callable[[FeedFilter, Position, int], Awaitable[FeedPart]]


class _Read(NamedTuple):
    """A read that has not begun: the earliest position that any of its callers has, and its result."""

    after: Position
    result: asyncio.Future[tuple[Position, FeedPart]]


class SharedReads:
    """
    Reads for waiting requests, one after the other.

    Requests of one key with the same filter and limit share a read. Keys are served in rotation. After a read, the
    others wait for as long as it took, so that all of them together use half of the time.

    Args:
        read: Reads up to so many entries of a feed after a position.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        # By key, the next one first, and by filter and limit.
        self._pending: dict[str, dict[tuple[FeedFilter, int], _Read]] = {}
        self._running: asyncio.Task[None] | None = None

    async def read(self, key_id: str, feed_filter: FeedFilter, after: Position, limit: int) -> FeedPart:
        """Up to *limit* entries after *after*, by a read that begins after this call."""
        start, part = await asyncio.shield(self._joined(key_id, feed_filter, after, limit))
        if start != after and (part.events or part.position < after):
            # The entries may be some that the caller has seen.
            return await self._read(feed_filter, after, limit)
        return part

    def _joined(
        self, key_id: str, feed_filter: FeedFilter, after: Position, limit: int
    ) -> asyncio.Future[tuple[Position, FeedPart]]:
        """The result of the next read of this key with this filter and limit."""
        of_key = self._pending.setdefault(key_id, {})
        pending = of_key.get((feed_filter, limit))
        if pending is None:
            result = asyncio.get_running_loop().create_future()
            # An error is nobody's where all who waited for the result have gone.
            result.add_done_callback(lambda done: done.cancelled() or done.exception())
            pending = _Read(after, result)
        of_key[feed_filter, limit] = pending._replace(after=min(after, pending.after))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return pending.result

    async def _run(self) -> None:
        """Read until nothing is pending."""
        clock = asyncio.get_running_loop().time
        while self._pending:
            (feed_filter, limit), pending = self._next()
            began = clock()
            try:
                pending.result.set_result((pending.after, await self._read(feed_filter, pending.after, limit)))
            except asyncio.CancelledError:
                pending.result.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                pending.result.set_exception(error)
            if self._pending:
                await asyncio.sleep(clock() - began)

    def _next(self) -> tuple[tuple[FeedFilter, int], _Read]:
        """Take a read of the next key, which is then served last."""
        key_id = next(iter(self._pending))
        of_key = self._pending.pop(key_id)
        what = next(iter(of_key))
        pending = of_key.pop(what)
        if of_key:
            self._pending[key_id] = of_key
        return what, pending
