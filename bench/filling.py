"""A feed that SQL fills, as it is after years."""

from __future__ import annotations

from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("filling", package=__package__)

AT_ONCE = 50_000
LIMIT_SECONDS = 900


async def fill_events(database: Database, count: int, *, first: int = 1) -> None:
    """Store *count* events of a Program BENCH, numbered from *first*, in commits as a hub would make."""
    async with database.connection() as connection:
        await connection.execute(queries.program)
        for start in range(first, first + count, AT_ONCE):
            last = min(start + AT_ONCE, first + count) - 1
            await connection.execute(queries.events, start, last, timeout=LIMIT_SECONDS)
        await connection.execute(queries.vacuum, timeout=LIMIT_SECONDS)
        await connection.execute(queries.write_out, timeout=LIMIT_SECONDS)
