"""The database that the settings name: its server, its schema, and the connections to it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from learning_hub.jobs import Jobs
from learning_hub.settings import Settings
from learning_hub.store import catalog, migrations
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer
from learning_hub.store.pooling import has_sessions

log = logging.getLogger(__name__)

# Differences that an error names; the log has all of them.
MOST_NAMED = 3


class DatabaseNotReadyError(Exception):
    """The database cannot be used in its present state; the message says what to do."""


NO_SESSIONS = (
    "LEARNING_HUB_DATABASE_URL leads through a pooler in transaction mode, in which the hub's advisory locks, "
    "notifications and prepared statements do not work. Use session mode (pool_mode = session in PgBouncer), or the "
    "address of the server itself."
)


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Database]:
    """Open the database of the settings, migrated; the embedded server is started if the settings name none."""
    async with run_database_server(settings) as address:
        await bring_up_to_date(address, migrate=migrate)
        database = Database(address, max_connections=settings.max_connections)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def run_database_server(settings: Settings) -> AsyncIterator[str]:
    """Yield the address of the database; the embedded server runs until the end, and is restarted when it dies."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    server, jobs = EmbeddedServer(settings.home), Jobs()
    try:
        address = await server.start()
        async with jobs.running([server.keep_running()]):
            yield address
    finally:
        # Also after a start that was cancelled, which must not leave a server behind.
        await server.stop()


@contextmanager
def reachable() -> Iterator[None]:
    """Errors within say that the database cannot be used, as a DatabaseNotReadyError."""
    try:
        yield
    except Exception as error:
        raise DatabaseNotReadyError(
            f"The database cannot be used: {_reason(error)}. LEARNING_HUB_DATABASE_URL names it; "
            "unset, it is the hub's own."
        ) from error


async def bring_up_to_date(address: str, *, migrate: bool = True) -> None:
    """
    Apply the migrations that the database is missing.

    Raises:
        DatabaseNotReadyError: The database cannot be reached or migrated, a pooler keeps no sessions, the database has
            migrations that this version does not know, *migrate* is false and a migration is missing, or the database
            lacks what this version needs although all migrations were applied.
    """
    unknown: list[str] = []
    missing: list[str] = []
    differences: list[catalog.Difference] = []
    with reachable():
        keeps_sessions = await has_sessions(address)
        if keeps_sessions:
            unknown = await migrations.unknown(address)
            if migrate and not unknown:
                await migrations.migrate(address)
            missing = await migrations.missing(address)
            differences = [] if unknown or missing else await _differences(address)
    if not keeps_sessions:
        raise DatabaseNotReadyError(NO_SESSIONS)
    if unknown:
        raise DatabaseNotReadyError(
            f"The database is of a newer version of the hub, which has migrated it: {', '.join(unknown)}. "
            "Install that version here."
        )
    if missing:
        raise DatabaseNotReadyError(
            f"The database is not up to date; missing: {', '.join(missing)}. Run learning-hub migrate."
        )
    if needed := [one.sentence for one in differences if one.needed.is_needed]:
        more = [f"{len(needed) - MOST_NAMED} more differ."] if len(needed) > MOST_NAMED else []
        raise DatabaseNotReadyError(
            f"{' '.join([*needed[:MOST_NAMED], *more])} "
            "The hub cannot work with it: undo what was changed by hand, or put back a whole backup."
        )


async def _differences(address: str) -> list[catalog.Difference]:
    """What the database lacks of this version's schema, also in the log."""
    connection = await asyncpg.connect(address, timeout=30)
    try:
        found = await catalog.differences(connection)
    finally:
        await connection.close()
    for one in found:
        log.warning("database_differs", extra={"difference": one.sentence})
    return found


def _reason(error: Exception) -> str:
    """The first sentence of an error of asyncpg, the network or the migrations, without its full stop."""
    first = error.__cause__ or error
    if isinstance(first, ValueError):
        # The error may quote the address, which contains the password.
        return "LEARNING_HUB_DATABASE_URL cannot be read"
    return str(first).strip().partition("\n")[0].rstrip(".") or type(error).__name__
