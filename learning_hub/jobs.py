"""Jobs that run in the background of a hub process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)


class Jobs:
    """Jobs that run in the background until the end; *ended* names jobs that ended early, which is a fault."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @asynccontextmanager
    async def running(self, jobs: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
        """Run *jobs* inside the block; at its end, the worker among them finishes the attempts that are under way."""
        tasks = [asyncio.create_task(job, name=getattr(job, "__qualname__", "a job")) for job in jobs]
        for task in tasks:
            task.add_done_callback(self._note_end)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.ended.append(task.get_name())
            log.critical("job_ended", extra={"job": task.get_name()}, exc_info=task.exception())
