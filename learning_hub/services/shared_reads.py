"""
Shared reads: how requests that may wait for entries of a feed read it.

Every commit wakes all that wait. Without a bound, a few hundred of them would read, and be answered, for as long as
others publish, and hold up everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from learning_hub.model.feed import FeedFilter, Position
from learning_hub.store.feed import FeedPart

Read = Callable[[FeedFilter, Position, int], Awaitable[FeedPart]]

# An answer and the request that follows it take some milliseconds, so this is half of the time.
SECONDS_FOR_EACH = 0.005
ANSWERED_AT_ONCE = 10


class _What(NamedTuple):
    """What requests that share a read have in common."""

    key_id: str
    feed_filter: FeedFilter
    limit: int


class _Group:
    """
    Requests that share a read.

    *after* is the earliest position that any of them has, *part* what was read from there, None until then.
    """

    def __init__(self, what: _What, after: Position) -> None:
        self.what = what
        self.after = after
        self.part: FeedPart | None = None
        self._requests: deque[asyncio.Future[None]] = deque()

    def join(self, after: Position) -> asyncio.Future[None]:
        """Add a request; the result is done when the request may go on."""
        self.after = min(after, self.after)
        request = asyncio.get_running_loop().create_future()
        self._requests.append(request)
        return request

    def release(self, most: int | None = None) -> int:
        """Let up to *most* requests go on, or all; returns how many."""
        released = 0
        while self._requests and (most is None or released < most):
            request = self._requests.popleft()
            if not request.done():
                request.set_result(None)
                released += 1
        return released

    def fail(self, error: Exception) -> None:
        for request in self._requests:
            if not request.done():
                request.set_exception(error)
        self._requests.clear()

    @property
    def is_done(self) -> bool:
        return not self._requests


class SharedReads:
    """
    Reads one after the other.

    Requests of one key with the same filter and limit share a read. Keys are served in rotation. After a read, others
    wait for as long as it took; where it found entries, at most ANSWERED_AT_ONCE requests are answered, and others wait
    SECONDS_FOR_EACH of them. So the rest of the hub has half of the time. A request that is alone never waits.

    Args:
        read: Reads up to so many entries of a feed after a position.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        # By key, the next one first.
        self._pending: dict[str, deque[_Group]] = {}
        # The groups whose read has not begun. One that has may have begun before the entry was committed that a request
        # was woken for.
        self._open: dict[_What, _Group] = {}
        self._running: asyncio.Task[None] | None = None

    async def read(self, key_id: str, feed_filter: FeedFilter, after: Position, limit: int) -> FeedPart:
        """Up to *limit* entries after *after*, by a read that begins after this call."""
        group = self._group(_What(key_id, feed_filter, limit), after)
        await group.join(after)
        part = group.part
        assert part is not None  # noqa: S101 - requests go on once it was read
        if group.after != after and (part.events or part.position < after):
            # The entries may be some that the caller has seen.
            return await self._read(feed_filter, after, limit)
        return part

    def _group(self, what: _What, after: Position) -> _Group:
        group = self._open.get(what)
        if group is None:
            group = self._open[what] = _Group(what, after)
            self._pending.setdefault(what.key_id, deque()).append(group)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return group

    async def _run(self) -> None:
        """Read until nothing is pending."""
        clock = asyncio.get_running_loop().time
        while self._pending:
            key_id = next(iter(self._pending))
            # The key is served last from now on.
            groups = self._pending[key_id] = self._pending.pop(key_id)
            group, began = groups[0], clock()
            answered = await self._serve(group)
            if group.is_done:
                groups.popleft()
            if not groups:
                del self._pending[key_id]
            if self._pending:
                await asyncio.sleep(max(clock() - began, answered * SECONDS_FOR_EACH))

    async def _serve(self, group: _Group) -> int:
        """Read for *group*, unless that was done before, and release requests; returns how many are answered now."""
        if group.part is None:
            if self._open.get(group.what) is group:
                del self._open[group.what]
            try:
                group.part = await self._read(group.what.feed_filter, group.after, group.what.limit)
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                group.fail(error)
                return 0
        if group.part.events:
            return group.release(ANSWERED_AT_ONCE)
        group.release()
        return 0
