"""Readiness is what the hub can do: it stores an event to find out."""

from __future__ import annotations

import asyncpg
import pytest
from running import RunningHub

from learning_hub.jobs import Jobs
from learning_hub.model.errors import Unavailable
from learning_hub.services.hub_status import HubStatus
from learning_hub.store.database import Database


async def test_the_check_leaves_no_event(database: Database) -> None:
    """A hub that can store is ready, and the event of the check is gone."""
    assert await HubStatus(database, Jobs()).need_ready() == []
    assert await database.fetchval("SELECT count(*) FROM event") == 0


async def test_a_locked_event_table_is_not_ready(database: Database, database_address: str) -> None:
    """A hub whose table of events is locked is not ready."""
    other = await asyncpg.connect(database_address)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE event IN SHARE MODE")
            with pytest.raises(Unavailable):
                await HubStatus(database, Jobs()).need_ready()
    finally:
        await other.close()


async def test_read_only_sessions_leave_the_pool(database: Database) -> None:
    """A hub whose session is read-only is not ready; the session is closed and the next check succeeds."""
    await database.execute("SET default_transaction_read_only = on")
    with pytest.raises(Unavailable):
        await HubStatus(database, Jobs()).need_ready()

    assert await HubStatus(database, Jobs()).need_ready() == []


async def test_what_keeps_the_hub_from_storing_is_not_ready(hub_without_worker: RunningHub) -> None:
    """A table that lacks a column, as after a broken restore, is 503 and not 500; with the column it is 200 again."""
    database, client = hub_without_worker.database, hub_without_worker.client
    await database.execute("ALTER TABLE event RENAME COLUMN data TO data_")
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "the database lacks the column data of the table event." in answer.json()["detail"]
    await database.execute("ALTER TABLE event RENAME COLUMN data_ TO data")
    assert (await client.get("/health/ready")).status_code == 200


async def test_the_original_hubs_address_is_public(hub_without_worker: RunningHub) -> None:
    """GET /health and GET /api/health answer as GET /health/ready does, without a key."""
    client = hub_without_worker.client_with(None)
    for path in ("/health", "/api/health"):
        response = await client.get(path)
        assert (response.status_code, response.json()) == (200, {"Status": "ready", "Findings": []})


async def test_a_query_with_an_argument_too_few_is_a_fault_of_the_hub(database: Database) -> None:
    """It is raised as it is, and is not taken for a database that is away, which would be tried again for ever."""
    with pytest.raises(asyncpg.InterfaceError):
        await database.fetch("SELECT $1::int")


async def test_a_closed_connection_is_a_database_that_is_away(database: Database) -> None:
    """A connection that is closed while it is used is Unavailable."""

    async def read() -> None:
        async with database.connection() as connection:
            await connection.close()
            await connection.fetch("SELECT 1")

    with pytest.raises(Unavailable):
        await read()
