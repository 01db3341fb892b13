"""The database of the settings: its server, its schema, and the connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from learning_hub.jobs import Jobs
from learning_hub.settings import Settings
from learning_hub.store import migrations
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer


class DatabaseNotReadyError(Exception):
    """The database cannot be used as it is; the sentence says what to do."""


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Database]:
    """The database of the settings: the embedded one started where none is named, and brought up to date."""
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
    """The address of the settings' database; the embedded server runs until the end, and again when it dies."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    server, jobs = EmbeddedServer(settings.home), Jobs()
    starting = asyncio.ensure_future(server.start())
    try:
        # Shielded: whoever is told to stop meanwhile must not leave a server behind.
        address = await asyncio.shield(starting)
        async with jobs.running([server.keep_running()]):
            yield address
    finally:
        await asyncio.wait([starting])
        await server.stop()


async def bring_up_to_date(address: str, *, migrate: bool = True) -> None:
    """
    Apply what the database is missing.

    Raises:
        DatabaseNotReadyError: It cannot be reached or migrated, or *migrate* is false and something is missing.
    """
    try:
        if migrate:
            await migrations.migrate(address)
            return
        missing = await migrations.missing(address)
    except Exception as error:
        raise DatabaseNotReadyError(
            f"The database cannot be used: {_reason(error)}. LEARNING_HUB_DATABASE_URL names it; "
            "unset, it is the hub's own."
        ) from error
    if missing:
        raise DatabaseNotReadyError(
            f"The database is not up to date; missing: {', '.join(missing)}. Run learning-hub migrate."
        )


def _reason(error: Exception) -> str:
    """The first sentence of an error of the driver, the network or the migrations, without its full stop."""
    first = error.__cause__ or error
    if isinstance(first, ValueError):
        # It may quote the address, password and all.
        return "LEARNING_HUB_DATABASE_URL cannot be read"
    return str(first).strip().partition("\n")[0].rstrip(".") or type(error).__name__
