"""
Which errors of the database driver mean what for a caller.

`translate_errors` stands around everything that uses a connection, so that nothing outside `store` sees asyncpg.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from learning_hub.model.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

# The connection broke; the server is starting, stopping, a standby for now, or out of connections, memory or disk;
# an operator ended the query. All of these pass, and none is caused by what the caller sent.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # raised when a connection was lost between two commands
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
CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,
)


class InTheWay(Unavailable):
    """Another transaction was in the way; the same work done again succeeds."""

    code = "in_the_way"


class DataRefused(InvalidInput):
    """
    The database does not accept the data.

    This is a last resort: validation should find data that cannot be stored, and name the field.
    """

    code = "data_refused"


@contextmanager
def translate_errors() -> Iterator[None]:
    """
    Raise the hub's errors in place of the driver's.

    Raises:
        Unavailable: The database is away.
        InTheWay: Another transaction was in the way.
        DataRefused: The database does not accept the data.
    """
    try:
        yield
    except DATABASE_AWAY as error:
        log.warning("database_away", extra={"error": type(error).__name__})
        raise Unavailable("The database is away.", retry_after_seconds=2) from error
    except CONFLICTS as error:
        raise InTheWay from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        # Only the type is logged: the text of the error quotes the data.
        log.warning("data_refused", extra={"error": type(error).__name__})
        raise DataRefused("The database does not take these data.") from error
