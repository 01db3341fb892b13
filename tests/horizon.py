"""
Waiting until what was committed is visible in the feed.

Later entries wait for every older writing transaction of the whole server, and tests that run side by side share one.
"""

from __future__ import annotations

import asyncio

import httpx

from learning_hub.store.database import Database


async def caught_up(database: Database) -> None:
    """All that was committed by now is before the feed's horizon."""
    then = await database.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    # Nothing tells when a transaction of another database ends.
    while await database.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())") < then:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def reads_all(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """Let *client* read the feed only after all that was committed before is visible in it."""

    async def wait(request: httpx.Request) -> None:
        if request.method == "GET" and "events" in request.url.path:
            await caught_up(database)

    client.event_hooks["request"].append(wait)
    return client
