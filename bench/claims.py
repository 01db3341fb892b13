"""How fast deliveries are claimed from a table that has grown for years, compared with a nearly empty one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from bench import server
from bench.alternation import measure_alternately
from bench.results import Results
from learning_hub.store import queue
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("claims", package=__package__)

FINISHED = 1_000_000
WAITING = 100_000
CLAIMS = 40
AT_ONCE = 16
ROUNDS = 9


class Claims:
    """A table with only the deliveries to claim, and one with a million others."""

    def __init__(self, new: Database, grown: Database) -> None:
        self._new = new
        self._grown = grown

    async def round(self, results: Results) -> None:
        """Measure both in turn."""
        at_first, later = await measure_alternately(
            partial(_claims_per_second, self._new), partial(_claims_per_second, self._grown), rounds=ROUNDS
        )
        results.ratios["claim_at_1m_vs_empty"].append(later / at_first)
        results.figures["claim_per_second"].append(at_first)
        results.figures["claim_at_1m_per_second"].append(later)


@asynccontextmanager
async def claims(home: Path) -> AsyncIterator[Claims]:
    """Both tables, each on its own server under *home*."""
    async with AsyncExitStack() as stack:
        new = await stack.enter_async_context(server.database(home / "new"))
        await _fill(new, waiting=CLAIMS * AT_ONCE, finished=0)
        grown = await stack.enter_async_context(server.database(home / "grown"))
        await _fill(grown, waiting=WAITING, finished=FINISHED)
        yield Claims(new, grown)


async def _claims_per_second(database: Database) -> float:
    """Deliveries claimed a second, some at once; afterwards they are waiting again."""
    began = time.perf_counter()
    for _ in range(CLAIMS):
        claimed = await queue.claim(database, queue.Room(most=AT_ONCE), lease_seconds=600)
        if len(claimed) != AT_ONCE:
            raise ValueError(f"{len(claimed)} were claimed, not {AT_ONCE}")
    seconds = time.perf_counter() - began
    await database.execute(queries.put_back)
    return CLAIMS * AT_ONCE / seconds


async def _fill(database: Database, *, waiting: int, finished: int) -> None:
    async with database.connection() as connection:
        await connection.execute(queries.set_up)
        for state, count in (("delivered", finished), ("waiting", waiting)):
            await connection.execute(queries.fill, count, state, timeout=900)
        await connection.execute(queries.vacuum, timeout=900)
        await connection.execute(queries.write_out, timeout=900)
