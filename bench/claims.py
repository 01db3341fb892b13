"""How fast deliveries are claimed from a table that has grown for years, beside one at the beginning."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from learning_hub.store import migrations, queue
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer
from learning_hub.store.queries import Queries

queries = Queries("claims", package=__package__)

FINISHED = 1_000_000
WAITING = 100_000
CLAIMS = 40
AT_ONCE = 16


@asynccontextmanager
async def tables(home: Path) -> AsyncIterator[tuple[Database, Database]]:
    """A database with only those deliveries that are claimed, and one that has grown; each on a server of its own."""
    async with _table(home / "new", CLAIMS * AT_ONCE, 0) as new, _table(home / "grown", WAITING, FINISHED) as grown:
        yield new, grown


async def claims_per_second(database: Database) -> float:
    """Deliveries claimed a second, some at once; afterwards they wait again."""
    began = time.perf_counter()
    for _ in range(CLAIMS):
        claimed = await queue.claim(database, queue.Room(most=AT_ONCE), lease_seconds=600)
        if len(claimed) != AT_ONCE:
            raise ValueError(f"{len(claimed)} were claimed, not {AT_ONCE}")
    seconds = time.perf_counter() - began
    await database.execute(queries.put_back)
    return CLAIMS * AT_ONCE / seconds


@asynccontextmanager
async def _table(home: Path, waiting: int, finished: int) -> AsyncIterator[Database]:
    server = EmbeddedServer(home)
    address = await server.start()
    database = Database(address, max_connections=2)
    try:
        await migrations.migrate(address)
        await database.open()
        async with database.connection() as connection:
            await connection.execute(queries.set_up)
            for state, count in (("delivered", finished), ("waiting", waiting)):
                await connection.execute(queries.fill, count, state, timeout=900)
            await connection.execute(queries.vacuum, timeout=900)
            await connection.execute(queries.write_out, timeout=900)
        yield database
    finally:
        await database.close()
        await server.stop()
