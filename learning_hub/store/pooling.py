"""
Whether each connection is a session of its own.

A pooler in transaction mode (PgBouncer, pgcat, …) lends a connection of the server for one transaction. The hub needs
sessions: for advisory locks, notifications and prepared statements. So it tries, instead of asking for a name.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import asyncpg

# A pooler may have several idle connections to the server; so many are held at once.
HELD_AT_ONCE = 4

PID = "SELECT pg_backend_pid()"


async def has_sessions(address: str) -> bool:
    """
    Whether a connection keeps its session between transactions.

    A session is lent to somebody else if another connection, which holds a transaction open, works in the same process
    of the server, or if the process of the first one has changed meanwhile.
    """
    async with AsyncExitStack() as stack:
        first = await _connect(address, stack)
        process = await _process(first)
        for _ in range(HELD_AT_ONCE):
            other = await _connect(address, stack)
            await stack.enter_async_context(other.transaction())
            if await other.fetchval(PID) == process:
                return False
        return await _process(first) == process


async def _connect(address: str, stack: AsyncExitStack) -> asyncpg.Connection[asyncpg.Record]:
    # Without named statements, which a pooler in transaction mode may not know.
    connection = await asyncpg.connect(address, timeout=30, statement_cache_size=0)
    stack.push_async_callback(connection.close)
    return connection


async def _process(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    # Within a transaction, so that the statement is prepared where it is executed.
    async with connection.transaction():
        return int(await connection.fetchval(PID))
