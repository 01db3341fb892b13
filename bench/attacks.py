"""
What an honest publisher notices of attacks, and what they cost the hub: the p95 of publishing, and memory.

    .venv/bin/python -m bench.attacks [--before CHECKOUT] [--only TEXT]

Each attack lasts for eight seconds, against a hub of its own. With --before, the hub of another checkout is attacked as
well, in turn. It prints a table, and takes half a minute for each attack and hub.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from bench import programs
from bench.attackers import ATTACKS, Target
from bench.events import a_post, bodies
from bench.load import Refused, ask
from bench.programs import KEY
from bench.setting_up import make_key, make_program
from learning_hub.store.embedded import EmbeddedServer

SECONDS = 8.0
PUBLISH_EVERY_SECONDS = 0.02
# What did not come by then counts as this.
PATIENCE_SECONDS = 5.0
PERMILLE = 1000.0


class Figures(NamedTuple):
    """Milliseconds of the 95th percentile before and beside the attack, and megabytes before and at most."""

    p95_alone: float
    p95: float
    megabytes_before: float
    megabytes: float


async def publish_meanwhile(address: str, seconds: float, process: psutil.Process) -> tuple[float, float]:
    """The p95 of publishing events in milliseconds, and the most memory of the hub in megabytes, within *seconds*."""
    until = time.perf_counter() + seconds
    took, most = [], 0.0
    for body in itertools.cycle(bodies()):
        began = time.perf_counter()
        if began > until:
            break
        with suppress(Refused, OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ask(address, a_post("/events", body), expected=b"201")
                took.append(time.perf_counter() - began)
                began = 0
        if began:
            took.append(PATIENCE_SECONDS)
        most = max(most, process.memory_info().rss / 1e6)
        await asyncio.sleep(PUBLISH_EVERY_SECONDS)
    return statistics.quantiles(took, n=20)[-1] * PERMILLE, most


def attack(name: str, target: Target) -> None:
    """Attack until the process is ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    asyncio.run(ATTACKS[name](target))  # type: ignore[arg-type]  # each is a coroutine function


def set_up(address: str) -> Target:
    """Make the Program, four keys of the attacker, and a subscription with templates to preview."""
    make_program(address)
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        hook = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hook.example.org/"}}
        client.put("/subscribers/hook", json=hook).raise_for_status()
        body = {
            "Name": "Attacked",
            "SubscriberId": "hook",
            "ProgramId": "BENCH",
            "EventTypes": ["LPI_STARTED"],
            "Target": {"Kind": "post"},
            "Templates": {"_default": {"A": "{{ event.EventType }}"}},
            "State": "stopped",
        }
        client.put("/subscriptions/attacked", json=body).raise_for_status()
    return Target(address, KEY, [make_key(address, "publish", "read") for _ in range(4)])


def measure(name: str, checkout: Path | None) -> Figures:
    """Attack a hub that was just started on an empty database."""
    with tempfile.TemporaryDirectory() as home:
        server = EmbeddedServer(Path(home))
        database = asyncio.run(server.start())
        try:
            with programs.hub(database, checkout=checkout) as hub:
                target = set_up(hub.address)
                process = psutil.Process(hub.pid)
                alone, megabytes_before = asyncio.run(publish_meanwhile(hub.address, SECONDS / 2, process))
                attacker = multiprocessing.get_context("spawn").Process(target=attack, args=(name, target), daemon=True)
                attacker.start()
                # It takes a second to start.
                time.sleep(1.5)
                p95, megabytes = asyncio.run(publish_meanwhile(hub.address, SECONDS, process))
                attacker.kill()
                attacker.join()
                return Figures(alone, p95, megabytes_before, megabytes)
        finally:
            asyncio.run(server.stop())


def row(name: str, all_figures: list[Figures]) -> str:
    """A line of the table."""
    cells = [f"{one.megabytes_before:.0f} → {one.megabytes:.0f} MB" for one in all_figures]
    cells += [f"{one.p95_alone:.0f} → {one.p95:.0f} ms" for one in all_figures]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure the attacks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the folder of another checkout, to attack its hub as well")
    parser.add_argument("--only", default="", help="attacks with this text in their names")
    arguments = parser.parse_args()
    hubs = {"memory": None} if arguments.before is None else {"before": arguments.before, "after": None}
    heads = [
        f"{what}{'' if arguments.before is None else ', ' + which}" for what in ("memory", "p95") for which in hubs
    ]
    print(f"| attack | {' | '.join(heads)} |\n|---{'|---' * len(heads)}|", flush=True)
    for name in ATTACKS:
        if arguments.only in name:
            print(row(name, [measure(name, checkout) for checkout in hubs.values()]), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
