"""The database that the settings name: its server, its schema, and the connections to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from learning_hub.jobs import Jobs
from learning_hub.settings import Settings
from learning_hub.store import migrations
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer
from learning_hub.store.pooling import has_sessions


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
            migrations that this version does not know, or *migrate* is false and a migration is missing.
    """
    unknown: list[str] = []
    missing: list[str] = []
    with reachable():
        keeps_sessions = await has_sessions(address)
        if keeps_sessions:
            unknown = await migrations.unknown(address)
            if migrate and not unknown:
                await migrations.migrate(address)
                return
            missing = await migrations.missing(address)
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


def _reason(error: Exception) -> str:
    """The first sentence of an error of asyncpg, the network or the migrations, without its full stop."""
    first = error.__cause__ or error
    if isinstance(first, ValueError):
        # The error may quote the address, which contains the password.
        return "LEARNING_HUB_DATABASE_URL cannot be read"
    return str(first).strip().partition("\n")[0].rstrip(".") or type(error).__name__
