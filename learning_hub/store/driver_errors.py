"""
The meaning of the database driver's errors for callers.

Everything that uses a connection runs inside `translate_errors`, so that nothing outside `store` sees asyncpg.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from learning_hub.model.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

# The connection broke; the server is starting, stopping, a standby for now, or out of connections, memory or disk;
# an operator ended the query. All of these are temporary, and none is caused by the request.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InternalClientError,  # raised when a connection was lost between two commands
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidCatalogNameError,
)

# Another transaction conflicted, or a migration changed the objects of a prepared statement; asyncpg then drops its
# prepared statements.
CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,
)


# What the driver's InterfaceError says when a connection or the pool is closed, or is being closed. Every other one
# is a fault of the code, such as a query that is called with an argument too few.
_CLOSED = re.compile("connection is closed|connection was closed|has been released|pool is clos|another operation")


def is_away(error: BaseException) -> bool:
    """Whether *error* of the driver or the network means that the database is away."""
    if isinstance(error, asyncpg.InterfaceError):
        return _CLOSED.search(str(error)) is not None
    return isinstance(error, DATABASE_AWAY)


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
        InTheWay: Another transaction conflicted.
        DataRefused: The database does not accept the data.
    """
    try:
        yield
    except (*DATABASE_AWAY, asyncpg.InterfaceError) as error:
        if not is_away(error):
            raise
        log.warning("database_away", extra={"error": type(error).__name__})
        raise Unavailable("The database is away.", retry_after_seconds=2) from error
    except CONFLICTS as error:
        raise InTheWay from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        # Only the type is logged: the text of the error quotes the data.
        log.warning("data_refused", extra={"error": type(error).__name__})
        raise DataRefused("The database does not take these data.") from error
