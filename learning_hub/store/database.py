"""
The connection pool.

Everything in `store` gets its connections here. Errors of the driver are translated to errors of the hub
(`driver_errors`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg

from learning_hub.model.clock import now
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.store.driver_errors import DATABASE_AWAY, translate_errors
from learning_hub.store.epochs import LastSeen, keep_epoch

# Quoted, because these classes are generic only for the type checker.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

# The time limit of a statement, and of a bulk load.
COMMAND_SECONDS = 60.0
NOTE_SECONDS = 5.0


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, address: str, *, max_connections: int = 20, acquire_seconds: float = 10) -> None:
        self.address = address
        self._max_connections = max_connections
        self._acquire_seconds = acquire_seconds
        self._pool: asyncpg.Pool | None = None
        self._seen: LastSeen | None = None

    async def open(self) -> None:
        """Create the pool; Unavailable when the server does not respond."""
        with translate_errors():
            self._pool = await asyncpg.create_pool(
                self.address,
                min_size=1,
                max_size=self._max_connections,
                command_timeout=COMMAND_SECONDS,
                reset=_reset_nothing,
                init=self._prepare,
                server_settings={"application_name": "learning-hub", "timezone": "UTC"},
            )

    async def _prepare(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Set up a new connection; an epoch of the feed begins where one has to before anything is written."""
        await _without_jit(connection)
        await self._keep_epoch(connection)

    async def follow_epoch(self) -> None:
        """
        Note every few seconds how far the database is, until cancelled.

        A later start of its server can then be told from a step back in time.
        """
        while True:
            with suppress(LearningHubError):
                async with self.connection() as connection:
                    await self._keep_epoch(connection)
            await asyncio.sleep(NOTE_SECONDS)

    def may_lack_records(self, days: float) -> bool:
        """Whether the database may have gone back in time less than *days* ago, and lack what was sent before."""
        since = self._seen.stepped_back_utc if self._seen else None
        return since is not None and now() - since < timedelta(days=days)

    async def _keep_epoch(self, connection: Connection) -> None:
        # Not the best knowledge of two checks at once, but that of one of them, which was true a moment ago.
        self._seen = await keep_epoch(connection, self._seen) or self._seen

    async def close(self) -> None:
        """Close the pool; waits up to ten seconds for connections in use."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except (TimeoutError, asyncpg.InterfaceError, *DATABASE_AWAY):
            self._pool.terminate()
        self._pool = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection from the pool, waiting for a free one; Unavailable when none becomes free in time."""
        if self._pool is None:
            raise Unavailable("The database is not open.")
        with translate_errors():
            async with self._pool.acquire(timeout=self._acquire_seconds) as connection:
                try:
                    yield connection
                except asyncpg.ReadOnlySQLTransactionError:
                    # After a fail-over a session may stay read-only, and so may the others of the pool.
                    connection.terminate()
                    await self._pool.expire_connections()
                    raise

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for session locks (advisory locks); all of them are released at the end."""
        async with self.connection() as connection:
            try:
                yield connection
            finally:
                await _release_locks(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction (read committed), which is committed as a whole or not at all."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """All rows of one query in its own transaction."""
        async with self.connection() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        """The first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> int:
        """Run a query and return the number of rows it changed."""
        async with self.connection() as connection:
            return changed(await connection.execute(query, *args))

    async def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a query once for each row, in one transaction."""
        async with self.connection() as connection:
            await connection.executemany(query, rows)


async def _release_locks(connection: Connection) -> None:
    try:
        await connection.reset(timeout=10)
        await _without_jit(connection)
    except (asyncpg.InterfaceError, *DATABASE_AWAY):
        # A broken connection holds no locks.
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


async def _without_jit(connection: Connection) -> None:
    # As a parameter of the connection's start, PgBouncer would refuse it.
    await connection.execute("SET jit = off")


async def _reset_nothing(_: Connection) -> None:
    """Reset nothing: statements and transactions leave nothing to reset, and asyncpg's own reset costs a round trip."""


async def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """
    Load *rows* into *table* in bulk (COPY), all of them or none.

    Cancelled after COMMAND_SECONDS, because asyncpg itself waits without limit for a server that hangs or is gone.
    """
    limit = asyncio.timeout(COMMAND_SECONDS)
    try:
        async with limit:
            await connection.copy_records_to_table(table, columns=columns, records=rows)
    except Exception as error:
        if limit.expired() or connection.is_closed():
            connection.terminate()
            raise TimeoutError from error
        if isinstance(error, (TypeError, ValueError, OverflowError)):
            # For arguments of a statement, asyncpg itself raises DataError.
            raise asyncpg.DataError from error
        raise


def changed(status: str) -> int:
    """The row count in a command's status (`UPDATE 3` is 3)."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def storable(text: str) -> str:
    """*text* without what PostgreSQL does not accept, so that no response of a subscriber prevents a completion."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
