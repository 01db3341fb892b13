"""Run until SIGTERM or SIGINT: the first signal ends cleanly, a second one ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_until_stopped(work: Coroutine[Any, Any, None], signals: Sequence[signal.Signals] = SIGNALS) -> None:
    """Run *work* to its end, or until one of *signals* cancels it; its cleanup is waited for."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_cancelled_by(work, signals))


async def _cancelled_by(work: Coroutine[Any, Any, None], signals: Sequence[signal.Signals]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in signals:
        try:
            loop.add_signal_handler(number, task.cancel)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel))
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
