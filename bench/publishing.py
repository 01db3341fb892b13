"""Publishing one event a request, compared with its bounds: the server doing nothing, and the database alone."""

from __future__ import annotations

import itertools
import re
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path

import psutil

from bench import programs, server
from bench.alternation import measure_alternately
from bench.events import a_get, publications
from bench.load import requests_per_second, seconds_each
from bench.results import Results
from bench.setting_up import make_program

CONNECTIONS = 64
REQUESTS = 1_500
LONE_REQUESTS = 300
SINGLE_INSERT = files("bench") / "pgbench.sql"
TRANSACTIONS = re.compile(r"tps = ([0-9.]+)")


class Publishing:
    """Two hubs on one database: the normal one, and one that commits each event by itself."""

    def __init__(self, database_url: str, hub: programs.Running, insert_each: programs.Running) -> None:
        self._database_url = database_url
        self._hub = hub
        self._insert_each = insert_each
        self._megabytes_at_rest = self._megabytes()

    async def round(self, results: Results) -> None:
        """Measure all in turn."""
        results.figures["memory_at_rest_megabytes"].append(self._megabytes_at_rest)
        publish, noop, insert_each, pgbench = await measure_alternately(
            self.events_per_second, self._answers_per_second, self._inserts_per_second, self._bare_inserts_per_second
        )
        results.ratios["publish_single_vs_noop"].append(publish / noop)
        results.ratios["publish_single_vs_insert_per_request"].append(publish / insert_each)
        results.ratios["publish_single_vs_pgbench"].append(publish / pgbench)
        results.figures["publish_per_second"].append(publish)
        results.figures["noop_per_second"].append(noop)
        results.figures["insert_per_request_per_second"].append(insert_each)
        results.figures["pgbench_per_second"].append(pgbench)
        results.figures["memory_after_load_megabytes"].append(self._megabytes())
        await self._lone_round(results)

    def _megabytes(self) -> float:
        """The present memory of the hub process, including what it shares with others."""
        return float(psutil.Process(self._hub.pid).memory_info().rss) / 1_000_000

    async def events_per_second(self, *, connections: int = CONNECTIONS, count: int = REQUESTS) -> float:
        """Events stored a second with this number of connections."""
        return await _events_per_second(self._hub.address, connections=connections, count=count)

    async def _answers_per_second(self) -> float:
        """Requests a second that do nothing."""
        requests = itertools.repeat(a_get("/health/live"), REQUESTS)
        return await requests_per_second(self._hub.address, requests, connections=CONNECTIONS, expected=b"200")

    async def _inserts_per_second(self) -> float:
        return await _events_per_second(self._insert_each.address)

    async def _bare_inserts_per_second(self) -> float:
        return inserts_per_second(self._database_url)

    async def _lone_round(self, results: Results) -> None:
        """The latency of a single publisher, compared with one commit of pgbench."""
        seconds = sorted(await seconds_each(self._hub.address, publications(LONE_REQUESTS), expected=b"201"))
        commit = 1 / inserts_per_second(self._database_url, clients=1, transactions=LONE_REQUESTS)
        results.figures["publish_lone_p50_milliseconds"].append(statistics.median(seconds) * 1000)
        results.figures["publish_lone_p99_milliseconds"].append(seconds[int(len(seconds) * 0.99)] * 1000)
        results.figures["pgbench_lone_milliseconds"].append(commit * 1000)


@asynccontextmanager
async def publishing(home: Path) -> AsyncIterator[Publishing]:
    """The hubs, on their own server under *home*."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(server.database(home))
        hub = stack.enter_context(programs.hub(database.address, "--no-worker"))
        insert_each = stack.enter_context(programs.hub(database.address, "--no-worker", module="bench.insert_each"))
        make_program(hub.address)
        yield Publishing(database.address, hub, insert_each)


async def _events_per_second(address: str, *, connections: int = CONNECTIONS, count: int = REQUESTS) -> float:
    requests = publications(count)
    return await requests_per_second(address, requests, connections=connections, expected=b"201")


def inserts_per_second(database_url: str, *, clients: int = CONNECTIONS, transactions: int = REQUESTS) -> float:
    """Committed single-row inserts a second of pgbench's prepared statements, with no HTTP and no hub."""
    program = server.program("pgbench")
    options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--transactions={transactions // clients}"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SINGLE_INSERT.read_text())
        script.flush()
        done = subprocess.run(
            [program, *options, f"--file={script.name}", database_url], capture_output=True, text=True, check=True
        )
    found = TRANSACTIONS.search(done.stdout)
    assert found, done.stdout
    return float(found[1])
