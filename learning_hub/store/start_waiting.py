"""Saying what a start waits for."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
AGAIN_SECONDS = 10.0


class Waiting:
    """A block that may wait: `reason`, which may change meanwhile, is logged after a second and every ten seconds."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(FIRST_SECONDS, self._log)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timer.cancel()

    def _log(self) -> None:
        log.warning("start_waiting", extra={"waiting_for": self.reason})
        self._timer = self._loop.call_later(AGAIN_SECONDS, self._log)
