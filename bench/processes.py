"""Publishing to one, two and four hub processes on one PostgreSQL, by `serve --processes`."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench import programs, server
from bench.events import publications
from bench.load import requests_per_second
from bench.results import Results
from bench.setting_up import make_program

COUNTS = (1, 2, 4)
ROUNDS = 3
LOADS = 2  # one process that sends would be busier than two hubs
CONNECTIONS = 64
REQUESTS = 4_000


async def measure_processes(home: Path, results: Results) -> None:
    """Events a second by the number of processes; all on one database under *home*, interleaved in each round."""
    async with server.database(home) as database:
        rates: dict[int, list[float]] = {count: [] for count in COUNTS}
        with ProcessPoolExecutor(LOADS, mp_context=multiprocessing.get_context("spawn")) as loads:
            for _ in range(ROUNDS):
                for count in COUNTS:
                    with _hubs(database.address, count) as hub:
                        _publish(loads, hub.address)
                        rates[count].append(_publish(loads, hub.address))
        results.curves["publish_per_second_by_processes"] = [
            (count, statistics.median(found)) for count, found in rates.items()
        ]


@contextmanager
def _hubs(database_url: str, count: int) -> Iterator[programs.Running]:
    with programs.hub(database_url, "--no-worker", "--processes", str(count)) as hub:
        make_program(hub.address)
        yield hub


def _publish(loads: ProcessPoolExecutor, address: str) -> float:
    share = [REQUESTS // LOADS] * LOADS
    return sum(loads.map(_load, [address] * LOADS, share))


def _load(address: str, count: int) -> float:
    requests = publications(count)
    return asyncio.run(requests_per_second(address, requests, connections=CONNECTIONS // LOADS, expected=b"201"))
