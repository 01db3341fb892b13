"""
Waiting until what was committed is visible in the feed.

Later entries wait for every older writing transaction of the whole server, and tests that run side by side share one.
"""

from __future__ import annotations

import asyncio

import httpx
import pytest

from learning_hub.store.database import Database

LIMIT_SECONDS = 60
OLDEST = """
SELECT datname, xact_start, query FROM pg_stat_activity
 WHERE backend_xid IS NOT NULL ORDER BY xact_start LIMIT 1
"""


async def caught_up(database: Database) -> None:
    """All that was committed by now is before the feed's horizon; fails after 60 seconds, naming what holds it back."""
    then = await database.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    deadline = asyncio.get_running_loop().time() + LIMIT_SECONDS
    # Nothing says when a transaction of another database ends.
    while await database.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())") < then:
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"After {LIMIT_SECONDS} seconds there still was {await database.fetch(OLDEST)}.")
        await asyncio.sleep(0.01)


def reads_all(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """Let *client* read the feed only after all that was committed before is visible in it."""

    async def wait(request: httpx.Request) -> None:
        if request.method == "GET" and "events" in request.url.path:
            await caught_up(database)

    client.event_hooks["request"].append(wait)
    return client
