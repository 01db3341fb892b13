"""Applying migrations, and listing those that a database is missing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import asyncpg
from pogo_core.util import migrate as pogo
from pogo_core.util import sql as pogo_sql

from learning_hub.store.epochs import keep_epoch
from learning_hub.store.queries import Queries
from learning_hub.store.start_waiting import Waiting

log = logging.getLogger(__name__)
queries = Queries("migrations")

LOCK_SECONDS = 0.2

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

# In a checkout the files are at the top level; in the wheel they are in the folder of this module.
FOLDER = CHECKOUT / "migrations" if (CHECKOUT / "schema.sql").exists() else HERE / "migrations"
SCHEMA_FILE = CHECKOUT / "schema.sql" if (CHECKOUT / "schema.sql").exists() else HERE / "schema.sql"


async def migrate(address: str) -> None:
    """Apply the missing migrations; processes that start at the same moment wait for each other."""
    connection = await asyncpg.connect(address, timeout=30)
    try:
        await _lock(connection)
        # Reading the files takes longer than everything else that a start does.
        if await _missing(connection):
            await pogo.apply(connection, FOLDER, schema_name="public", logger=log)
        await keep_epoch(connection, None)
    finally:
        await connection.close()


async def _lock(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    with Waiting("the lock for migrations") as waiting:
        while not await connection.fetchval(queries.try_lock):
            if holder := await connection.fetchrow(queries.lock_holder):
                waiting.reason = (
                    f"the lock for migrations, which process {holder['pid']} (application {holder['application']}) of "
                    f"the database server holds; SELECT pg_terminate_backend({holder['pid']}) ends it if it hangs"
                )
            await asyncio.sleep(LOCK_SECONDS)


async def unknown(address: str) -> list[str]:
    """Names of the migrations that this database has and this version of the hub does not know, in order."""
    connection = await asyncpg.connect(address, timeout=30)
    try:
        if not await connection.fetchval(queries.has_migration_table):
            return []
        applied = await pogo_sql.get_applied_migrations(connection, schema_name="public")
    finally:
        await connection.close()
    return sorted(set(applied) - {path.stem for path in FOLDER.glob("*.sql")})


async def missing(address: str) -> list[str]:
    """Names of the migrations that this database does not have yet, in order; all of them for an empty database."""
    connection = await asyncpg.connect(address, timeout=30)
    try:
        return await _missing(connection)
    finally:
        await connection.close()


async def _missing(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    has_table = await connection.fetchval(queries.has_migration_table)
    applied = await pogo_sql.get_applied_migrations(connection, schema_name="public") if has_table else set[str]()
    return sorted(path.stem for path in FOLDER.glob("*.sql") if path.stem not in applied)
