"""
`make bench`: everything in one run, each ratio the median of five interleaved rounds, with its spread.

Writes bench.json, `{"Ratios": {name: number}, …}`, and the plots in docs/explanation/plots/. Ratios compare within one
run on one machine; absolute figures are only for orientation. `make bench-quick` takes under a minute, and fails if a
ratio has fallen far below its floor.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.batches import batches
from bench.claims import claims
from bench.deliveries import deliveries
from bench.growth import growth
from bench.plots import draw
from bench.processes import measure_processes
from bench.publishing import CONNECTIONS, Publishing, publishing
from bench.reading import reading
from bench.rendering import render_round
from bench.results import Results

ROUNDS = 5
QUICK_ROUNDS = 2
TIMES_A_COUNT = 3
# The floor of each ratio on a quiet machine.
FLOORS = {
    "publish_single_vs_noop": 0.75,
    "publish_single_vs_insert_per_request": 2.2,
    "publish_batch_vs_copy": 0.50,
    "feed_read_vs_sql": 0.50,
    "publish_at_1m_vs_empty": 0.90,
    "bucket_read_at_1m_vs_empty": 0.90,
    "claim_at_1m_vs_empty": 0.80,
    "deliver_vs_bare_http": 0.60,
}
# A busy machine makes a ratio worse, hardly ever better, so the best of a few rounds is compared with half the floor.
FAR_BELOW = 0.5
CONNECTION_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PLOTS = Path(__file__).parents[1] / "docs" / "explanation" / "plots"

Round = Callable[[Results], Awaitable[None]]


def main() -> None:
    """Measure, show and write; with --quick, measure for under a minute, and compare with the floors."""
    is_quick = sys.argv[1:] == ["--quick"]
    with tempfile.TemporaryDirectory(prefix="learning-hub-bench-") as folder:
        if is_quick:
            sys.exit(judge(asyncio.run(measure_quickly(Path(folder)))))
        results = asyncio.run(measure(Path(folder)))
    results.show(f"{ROUNDS} interleaved rounds, {CONNECTIONS} connections", FLOORS)
    results.write(
        Path("bench.json"),
        Machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        MeasuredUtc=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    draw(results, PLOTS)


async def measure(folder: Path) -> Results:
    """Five interleaved rounds of all measurements, and then the curves."""
    results = Results()
    async with AsyncExitStack() as stack:
        single = await stack.enter_async_context(publishing(folder / "publishing"))
        rounds: list[Round] = [
            single.round,
            (await stack.enter_async_context(batches(folder / "batches"))).round,
            (await stack.enter_async_context(reading(folder / "reading"))).round,
            (await stack.enter_async_context(growth(folder / "growth", results))).round,
            (await stack.enter_async_context(claims(folder / "claims"))).round,
            (await stack.enter_async_context(deliveries(folder / "deliveries"))).round,
            render_round,
        ]
        for _ in range(ROUNDS):
            for round_ in rounds:
                await round_(results)
        results.curves["publish_per_second_by_connections"] = [
            (count, await _publishing_with(single, count)) for count in CONNECTION_COUNTS
        ]
    await measure_processes(folder / "processes", results)
    return results


async def _publishing_with(single: Publishing, connections: int) -> float:
    return statistics.median([await single.events_per_second(connections=connections) for _ in range(TIMES_A_COUNT)])


async def measure_quickly(folder: Path) -> Results:
    """A few rounds of the measurements that need no million of stored events."""
    results = Results()
    async with AsyncExitStack() as stack:
        rounds: list[Round] = [
            (await stack.enter_async_context(publishing(folder / "publishing"))).round,
            (await stack.enter_async_context(batches(folder / "batches"))).round,
            (await stack.enter_async_context(reading(folder / "reading"))).round,
            (await stack.enter_async_context(deliveries(folder / "deliveries"))).round,
        ]
        for _ in range(QUICK_ROUNDS):
            for round_ in rounds:
                await round_(results)
    return results


def judge(results: Results) -> int:
    """Show the results; 1 if a ratio has fallen far below its floor, 0 otherwise."""
    results.show(f"{QUICK_ROUNDS} rounds; the best of each must reach half its floor", FLOORS)
    fallen = [
        f"{name} is {max(values):.2f} at best; its floor is {FLOORS[name]:.2f}."
        for name, values in results.ratios.items()
        if name in FLOORS and max(values) < FLOORS[name] * FAR_BELOW
    ]
    for sentence in fallen:
        print(sentence, file=sys.stderr)
    return 1 if fallen else 0


if __name__ == "__main__":
    main()
