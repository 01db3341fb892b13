"""
`python -m bench.partitions`: the hub on tables with hash partitions by Program, compared with plain tables.

Partitions the tables with partitions.sql, shows how many partitions the plan of each kind of query reads, and measures
publishing for many Programs on both.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import statistics
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench import programs, server
from bench.events import EVENT, a_post
from bench.filling import fill_events
from bench.filling import queries as filling
from bench.load import requests_per_second
from bench.programs import KEY
from learning_hub.store import deliveries, events, feed
from learning_hub.store.database import Database

PARTITIONS = 16
PROGRAMS = 64
EVENTS = 10_000
ROUNDS = 5
REQUESTS = 3_000
CONNECTIONS = 64
SCRIPT = Path(__file__).with_suffix(".sql")


def cut(database_url: str, partitions: int = PARTITIONS) -> None:
    """Partition the tables of a database on which no hub runs."""
    psql = server.program("psql")
    subprocess.run(
        [psql, "--quiet", "--no-psqlrc", f"--set=partitions={partitions}", f"--file={SCRIPT}", database_url],
        check=True,
        stdout=subprocess.DEVNULL,
    )


async def partitions_read(database: Database, table: str, query: str, *values: Any) -> set[str]:
    """The partitions of *table* that a query reads or writes when it runs with these values."""
    async with database.transaction() as connection:
        await connection.execute(feed.queries.plan_in_index_order)
        (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values))
    found, nodes = set(), [plan["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Actual Loops"] and re.fullmatch(rf"{table}_\d+", node.get("Relation Name", "")):
            found.add(node["Relation Name"])
    return found


async def main() -> None:
    """Partition, show and measure."""
    with tempfile.TemporaryDirectory(prefix="learning-hub-bench-") as folder:
        async with AsyncExitStack() as stack:
            whole = await stack.enter_async_context(server.database(Path(folder) / "whole"))
            parted = await stack.enter_async_context(server.database(Path(folder) / "parted"))
            await asyncio.to_thread(cut, parted.address)
            await show_plans(parted)
            hubs = [stack.enter_context(programs.hub(found.address, "--no-worker")) for found in (whole, parted)]
            for hub in hubs:
                make_programs(hub.address)
            ratios = []
            for _ in range(ROUNDS):
                on_whole, on_parted = [await published_per_second(hub.address) for hub in hubs]
                ratios.append(on_parted / on_whole)
            print(
                f"publishing for {PROGRAMS} Programs, cut into {PARTITIONS} beside whole, {ROUNDS} rounds: "
                f"median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
            )


async def show_plans(database: Database) -> None:
    """The number of partitions that the plans of the hub's own queries read."""
    await fill_events(database, EVENTS)
    there = await database.fetchrow(filling.any_event)
    assert there is not None
    asked: list[tuple[str, str, str, tuple[Any, ...]]] = [
        ("a page of the feed", "event", feed.queries.full_page_of_feed, ("BENCH", 0, 0, 0, 100)),
        ("one event", "event", events.queries.find_event, ("BENCH", there["event_uuid"])),
        (
            "is it there already",
            "event",
            events.queries.latest_entries,
            (["BENCH"], ["1"], ["TopClass"], ["AI_COMP_SUCCESS"]),
        ),
        ("one delivery", "delivery", deliveries.queries.find, ("BENCH", there["event_uuid"])),
    ]
    table = Table("query", "partitions read", title=f"{PARTITIONS} partitions")
    for name, of_table, query, values in asked:
        table.add_row(name, str(len(await partitions_read(database, of_table, query, *values))))
    Console().print(table)


def make_programs(address: str) -> None:
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        for number in range(PROGRAMS):
            client.put(f"/programs/P{number}", json={"Name": f"Program {number}"}).raise_for_status()


async def published_per_second(address: str) -> float:
    requests = list(itertools.islice(_publications(), REQUESTS))
    return await requests_per_second(address, requests, connections=CONNECTIONS, expected=b"201")


def _publications() -> Iterator[bytes]:
    run = uuid.uuid4().hex
    for number in itertools.count():
        event = EVENT | {"PublisherProgramId": f"P{number % PROGRAMS}", "PublisherEventId": f"{run}:{number}"}
        yield a_post("/events", json.dumps(event).encode())


if __name__ == "__main__":
    asyncio.run(main())
