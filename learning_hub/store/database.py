"""
The connection pool, and the border where the driver's errors become ours.

Everything in `store` gets its connections here; nothing outside `store` sees asyncpg.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from learning_hub.model.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

# In quotes: the classes are generic to the type checker alone.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

# The connection broke; the server is starting, stopping, a standby for now, or out of connections, memory or disk;
# an operator ended the query. All of it passes, and none of it is what the caller sent.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that was lost between two commands
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidCatalogNameError,
)

# Another transaction was in the way, or a migration changed what a prepared statement was made for; the driver then
# forgets its statements.
IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,
)

# After so long a statement or a bulk load is given up.
COMMAND_SECONDS = 60.0


class InTheWay(Unavailable):
    """Another transaction was in the way; the same work done again succeeds."""

    code = "in_the_way"


class DataRefused(InvalidInput):
    """
    The database does not take these data.

    A last resort: what cannot be stored should have been found, and named, before.
    """

    code = "data_refused"


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, address: str, *, max_connections: int = 20, acquire_seconds: float = 10) -> None:
        self.address = address
        self._max_connections = max_connections
        self._acquire_seconds = acquire_seconds
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Make the pool; Unavailable when the server does not answer."""
        async with self._border():
            self._pool = await asyncpg.create_pool(
                self.address,
                min_size=1,
                max_size=self._max_connections,
                command_timeout=COMMAND_SECONDS,
                reset=_leave_as_it_is,
                server_settings={"application_name": "learning-hub", "jit": "off", "timezone": "UTC"},
            )

    async def close(self) -> None:
        """Close the pool; connections in use get ten seconds."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except (TimeoutError, *AWAY):
            self._pool.terminate()
        self._pool = None

    @asynccontextmanager
    async def _border(self) -> AsyncIterator[None]:
        try:
            yield
        except AWAY as error:
            log.warning("database_away", extra={"error": type(error).__name__})
            raise Unavailable("The database is away.", retry_after_seconds=2) from error
        except IN_THE_WAY as error:
            raise InTheWay from error
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            # Never the error itself: its text has the data.
            log.warning("data_refused", extra={"error": type(error).__name__})
            raise DataRefused("The database does not take these data.") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection from the pool, waiting for a free one; Unavailable when there is none in time."""
        if self._pool is None:
            raise Unavailable("The database is not open.")
        async with self._border(), self._pool.acquire(timeout=self._acquire_seconds) as connection:
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for locks that outlive a statement or a transaction; none of them outlives this."""
        async with self.connection() as connection:
            try:
                yield connection
            finally:
                await _let_go_of_locks(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction (read committed): all of it is committed, or nothing."""
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


async def _let_go_of_locks(connection: Connection) -> None:
    try:
        await connection.reset(timeout=10)
    except AWAY:
        # A connection that broke has let go of them already.
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


async def _leave_as_it_is(_: Connection) -> None:
    """Nothing to tidy up after a statement or a transaction: asking the server to do so each time takes as long."""


async def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """
    Load *rows* into *table* in bulk (COPY), all of them or none.

    Ended after COMMAND_SECONDS: where the server takes no more, or is gone, the driver itself waits without end.
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
            # Of the arguments of a statement the driver says so by itself.
            raise asyncpg.DataError from error
        raise


def changed(status: str) -> int:
    """The row count in a command's status (`UPDATE 3` is 3)."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def storable(text: str) -> str:
    """*text* as PostgreSQL takes it: subscribers may say anything, and must not keep a delivery from being settled."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
