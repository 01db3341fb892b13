"""Whether cost grows with the number of stored events: publishing and reading with a million of them and with none."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import programs, server
from bench.alternation import measure_alternately
from bench.events import a_get, publications
from bench.filling import fill_events
from bench.load import ask, requests_per_second
from bench.results import Results
from bench.setting_up import make_program
from learning_hub.store.database import Database

STORED = 1_000_000
CONNECTIONS = 64
REQUESTS = 1_500
PAGES = 20
PAGE_ROUNDS = 15
SIZES = (1_000, 10_000, 100_000, STORED)
ROUNDS_A_SIZE = 3


class Growth:
    """A hub without stored events, and one with a million."""

    def __init__(self, new: programs.Running, grown: programs.Running) -> None:
        self._new = new
        self._grown = grown

    async def round(self, results: Results) -> None:
        """Measure both in turn."""
        at_first, later = await measure_alternately(partial(_published, self._new), partial(_published, self._grown))
        results.ratios["publish_at_1m_vs_empty"].append(later / at_first)
        results.figures["publish_at_1m_per_second"].append(later)
        at_first, later = await measure_alternately(
            partial(_pages, self._new), partial(_pages, self._grown), rounds=PAGE_ROUNDS
        )
        results.ratios["bucket_read_at_1m_vs_empty"].append(later / at_first)


@asynccontextmanager
async def growth(home: Path, results: Results) -> AsyncIterator[Growth]:
    """Two servers under *home*; while one is filled, its figures at each size are added to *results*."""
    async with AsyncExitStack() as stack:
        new, _ = await _hub(stack, home / "new")
        # The page that is read has the same number of entries on both.
        await _published(new, count=REQUESTS)
        grown, database = await _hub(stack, home / "grown")
        stored = 0
        for size in SIZES:
            await fill_events(database, size - stored, first=stored + 1)
            stored = size
            rates = [(await _published(grown), await _pages(grown)) for _ in range(ROUNDS_A_SIZE)]
            published, read = (statistics.median(values) for values in zip(*rates, strict=True))
            results.curves.setdefault("publish_per_second_by_stored_events", []).append((size, published))
            results.curves.setdefault("bucket_pages_per_second_by_stored_events", []).append((size, read))
        yield Growth(new, grown)


async def _hub(stack: AsyncExitStack, home: Path) -> tuple[programs.Running, Database]:
    database = await stack.enter_async_context(server.database(home))
    hub = stack.enter_context(programs.hub(database.address, "--no-worker"))
    make_program(hub.address)
    return hub, database


async def _published(hub: programs.Running, *, count: int = REQUESTS) -> float:
    return await requests_per_second(hub.address, publications(count), connections=CONNECTIONS, expected=b"201")


async def _pages(hub: programs.Running) -> float:
    """Pages of a hundred a second, from the beginning of today's bucket."""
    request = a_get(f"/events?EventDateBucket=BENCH-LB-{datetime.now(UTC):%Y%m%d}")
    began = time.perf_counter()
    for _ in range(PAGES):
        await ask(hub.address, request)
    return PAGES / (time.perf_counter() - began)
