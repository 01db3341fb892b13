"""
What an honest publisher notices of attacks, and what they cost the hub: the p95 of publishing, and memory (RSS).

    .venv/bin/python -m bench.attacks [--before CHECKOUT] [--only TEXT]

Each attack lasts for eight seconds, against a hub of its own. With --before, the hub of another checkout is attacked as
well, in turn. It prints a table, with the problem codes that the attacker met most, and takes half a minute for each
attack and hub.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import statistics
import tempfile
import time
from collections import Counter
from contextlib import nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from bench import programs
from bench.arrivals import Arrivals
from bench.attackers import ATTACKS, ON_DELIVERIES, Target
from bench.events import a_post, bodies
from bench.load import Refused, ask
from bench.programs import KEY
from bench.setting_up import make_key, make_program
from learning_hub.store.embedded import EmbeddedServer

SECONDS = 8.0
PUBLISH_EVERY_SECONDS = 0.02
# Where deliveries are measured, so few that they need not wait for each other.
DELIVER_EVERY_SECONDS = 0.2
# What did not come by then counts as this.
PATIENCE_SECONDS = 5.0
PERMILLE = 1000.0


class Figures(NamedTuple):
    """
    Milliseconds of the 95th percentile before and beside the attack, and megabytes before and at most.

    *refusals* are the two statuses and problem codes that the attacker met most.
    """

    p95_alone: float
    p95: float
    megabytes_before: float
    megabytes: float
    refusals: list[str]


async def publish_meanwhile(
    address: str, seconds: float, process: psutil.Process, arrivals: Arrivals | None = None
) -> tuple[float, float]:
    """
    The p95 of publishing events in milliseconds, and the most memory of the hub in megabytes, within *seconds*.

    With *arrivals*, the p95 is that of publishing and delivering.
    """
    until = time.perf_counter() + seconds
    took, most = [], 0.0
    published: dict[str, float] = {}
    for body in bodies():
        began = time.perf_counter()
        if began > until:
            break
        published[json.loads(body)["PublisherEventId"]] = began
        with suppress(Refused, OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ask(address, a_post("/events", body), expected=b"201")
                took.append(time.perf_counter() - began)
                began = 0
        if began:
            took.append(PATIENCE_SECONDS)
        most = max(most, process.memory_info().rss / 1e6)
        await asyncio.sleep(DELIVER_EVERY_SECONDS if arrivals else PUBLISH_EVERY_SECONDS)
    if arrivals:
        await asyncio.sleep(PATIENCE_SECONDS)
        end = time.perf_counter()
        took = [arrivals.at.get(event, end) - moment for event, moment in published.items()]
    return statistics.quantiles(took, n=20)[-1] * PERMILLE, most


def attack(name: str, target: Target, seconds: float, sender: Connection) -> None:
    """Attack for some seconds, and send the refusals; then stay until the process is ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))

    async def go_on() -> None:
        attacking = asyncio.ensure_future(ATTACKS[name](target))
        await asyncio.wait([attacking], timeout=seconds)
        sender.send(target.refusals)
        await attacking

    asyncio.run(go_on())


def set_up(address: str, webhook: str | None) -> Target:
    """Make the Program, four keys of the attacker, a subscription to preview, and one that delivers to *webhook*."""
    make_program(address)
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        hook = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": webhook or "https://hook.example.org/"}}
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
        if webhook:
            templates = {"_default": {"Id": "{{ event.PublisherEventId }}"}}
            body |= {"EventTypes": ["AI_COMP_SUCCESS"], "Templates": templates, "State": "started"}
            client.put("/subscriptions/honest", json=body).raise_for_status()
    return Target(address, KEY, [make_key(address, "publish", "read") for _ in range(4)], Counter())


def measure(name: str, checkout: Path | None) -> Figures:
    """Attack a hub that was just started on an empty database."""
    with tempfile.TemporaryDirectory() as home, socket.create_server(("127.0.0.1", 0)) as listener:
        arrivals = Arrivals(listener) if name in ON_DELIVERIES else None
        webhook = f"http://127.0.0.1:{listener.getsockname()[1]}/" if arrivals else None

        async def publish(seconds: float) -> tuple[float, float]:
            async with arrivals.received() if arrivals else nullcontext():
                return await publish_meanwhile(hub.address, seconds, process, arrivals)

        server = EmbeddedServer(Path(home))
        database = asyncio.run(server.start())
        try:
            with programs.hub(database, checkout=checkout) as hub:
                target = set_up(hub.address, webhook)
                process = psutil.Process(hub.pid)
                alone, megabytes_before = asyncio.run(publish(SECONDS / 2))
                context = multiprocessing.get_context("spawn")
                receiver, sender = context.Pipe(duplex=False)
                attacker = context.Process(target=attack, args=(name, target, SECONDS, sender), daemon=True)
                attacker.start()
                # It takes a second to start.
                time.sleep(1.5)
                p95, megabytes = asyncio.run(publish(SECONDS))
                refusals = receiver.recv() if receiver.poll(PATIENCE_SECONDS) else Counter()
                attacker.kill()
                attacker.join()
                return Figures(alone, p95, megabytes_before, megabytes, [code for code, _ in refusals.most_common(2)])
        finally:
            asyncio.run(server.stop())


def row(name: str, all_figures: list[Figures]) -> str:
    """A line of the table."""
    cells = [f"{one.megabytes_before:.0f} → {one.megabytes:.0f} MB" for one in all_figures]
    cells += [f"{one.p95_alone:.0f} → {one.p95:.0f} ms" for one in all_figures]
    cells.append(", ".join(f"`{code}`" for code in all_figures[-1].refusals))
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
    heads.append("refused with")
    print(f"| attack | {' | '.join(heads)} |\n|---{'|---' * len(heads)}|", flush=True)
    for name in ATTACKS:
        if arguments.only in name:
            print(row(name, [measure(name, checkout) for checkout in hubs.values()]), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
