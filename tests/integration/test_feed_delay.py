"""A feed that is held back is reported by the age of the oldest hidden event, with the cause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from factories import an_event_body
from running import RunningHub, eventually

from learning_hub.store.database import Database
from learning_hub.store.feed_delay import delay_findings, hidden_seconds

MAKE_OLD = """
UPDATE event SET created_utc = created_utc - interval '90 s',
                 event_date = ((created_utc - interval '90 s') AT TIME ZONE 'UTC')::date
"""


@asynccontextmanager
async def _role(database: Database) -> AsyncIterator[str]:
    """A role without privileges of its own that may connect."""
    role = f"plain_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {role} LOGIN")
    try:
        yield role
    finally:
        await database.execute(f"DROP ROLE {role}")


def _as_role(address: str, role: str, database: str | None = None) -> str:
    parts = urlsplit(address)
    netloc = f"{role}@{parts.netloc.rpartition('@')[2]}"
    return parts._replace(netloc=netloc, path=f"/{database}" if database else parts.path).geturl()


async def test_readiness_names_the_transaction_of_another_role_in_another_database(
    hub_without_worker: RunningHub,
) -> None:
    """An event that was hidden for over a minute is a finding of readiness, with the process that causes it."""
    hub, database = hub_without_worker, hub_without_worker.database
    await hub.make_program()
    async with _role(database) as role:
        other = await asyncpg.connect(_as_role(database.address, role, "postgres"))
        try:
            async with other.transaction():
                await other.execute("SELECT pg_current_xact_id()")
                pid = other.get_server_pid()
                assert (await hub.client.post("/events", json=an_event_body())).status_code == 201
                assert (await hub.client.get("/health/ready")).json() == {"Status": "ready", "Findings": []}
                await database.execute(MAKE_OLD)

                async def finding() -> str:
                    response = await hub.client.get("/health/ready")
                    assert response.status_code == 200
                    (sentence,) = response.json()["Findings"]
                    return str(sentence)

                # Until then an older transaction of another test, which ends soon, may be the cause.
                cause = f"of role {role} in database postgres (process {pid}"
                assert "stored 9" in await eventually(finding, until=lambda sentence: cause in sentence)
                assert "learning_hub_feed_held_back_seconds 9" in (await hub.client.get("/metrics")).text
        finally:
            await other.close()
        assert (await hub.client.get("/health/ready")).json()["Findings"] == []
        assert await hidden_seconds(database) == 0


async def test_a_role_without_privileges_sees_the_cause(hub_without_worker: RunningHub) -> None:
    """A hub whose role may not see the transactions of others names the process that holds the feed back."""
    hub, database = hub_without_worker, hub_without_worker.database
    await hub.make_program()
    async with _role(database) as role:
        await database.execute(f"GRANT pg_read_all_data TO {role}")
        plain = Database(_as_role(database.address, role), max_connections=1)
        await plain.open()
        other = await asyncpg.connect(database.address)
        try:
            async with other.transaction():
                await other.execute("SELECT pg_current_xact_id()")
                assert (await hub.client.post("/events", json=an_event_body())).status_code == 201
                # Until then an older transaction of another test, which ends soon, may be the cause.
                await eventually(lambda: _is_named(plain, f"process {other.get_server_pid()}"))
        finally:
            await other.close()
            await plain.close()


async def _is_named(database: Database, cause: str) -> bool:
    return any(cause in finding for finding in await delay_findings(database, over_seconds=0))


async def test_a_prepared_transaction_is_named(hub_without_worker: RunningHub) -> None:
    """A prepared transaction that holds the feed back is named, with what ends it."""
    hub, database = hub_without_worker, hub_without_worker.database
    await hub.make_program()
    if not int(await database.fetchval("SHOW max_prepared_transactions")):
        pytest.skip("the server keeps no prepared transactions")
    gid = f"forgotten {uuid4()}"
    other = await asyncpg.connect(database.address)
    try:
        await other.execute(f"BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '{gid}'")
        assert (await hub.client.post("/events", json=an_event_body())).status_code == 201
        await eventually(lambda: _is_named(database, f"the prepared transaction '{gid}'"))
        await eventually(lambda: _is_named(database, "end it with COMMIT PREPARED or ROLLBACK PREPARED"))
    finally:
        await other.execute(f"ROLLBACK PREPARED '{gid}'")
        await other.close()
    assert await delay_findings(database, over_seconds=60) == []
