"""What stops a start, or keeps it waiting, is said in a sentence."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from learning_hub.store import migrations
from learning_hub.store.database import Database
from learning_hub.store.database_server import DatabaseNotReadyError, bring_up_to_date


@pytest.mark.parametrize("migrate", [True, False])
async def test_a_database_of_a_newer_hub_stops_the_start(database: Database, *, migrate: bool) -> None:
    """A database with a migration that the hub does not know is not used, and the migration is named."""
    await database.execute(
        "INSERT INTO _pogo_migration SELECT (new).* FROM (SELECT jsonb_populate_record(old, "
        '\'{"migration_id": "9999_pre_later", "migration_hash": "later"}\') AS new '
        "FROM _pogo_migration AS old LIMIT 1) AS later"
    )
    with pytest.raises(DatabaseNotReadyError, match=r"newer version of the hub.*9999_pre_later"):
        await bring_up_to_date(database.address, migrate=migrate)


async def test_a_start_that_waits_for_the_migration_lock_names_its_holder(
    database_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Within two seconds the log has the process that holds the lock; the start goes on when the lock is released."""
    holder = await asyncpg.connect(database_address)
    await holder.execute("SELECT pg_advisory_lock(hashtext('learning-hub migrate'))")
    starting = asyncio.ensure_future(migrations.migrate(database_address))
    await asyncio.sleep(1.5)
    assert not starting.done()
    pid = holder.get_server_pid()
    await holder.close()
    await starting
    (waiting,) = [record for record in caplog.records if record.message == "start_waiting"]
    assert f"process {pid} " in vars(waiting)["waiting_for"]


async def test_a_connection_is_without_jit(database: Database) -> None:
    """Sessions compile no plans, also after locks were released."""
    async with database.session() as connection:
        assert await connection.fetchval("SHOW jit") == "off"
    assert await database.fetchval("SHOW jit") == "off"
