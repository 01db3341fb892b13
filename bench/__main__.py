"""
`make bench`: everything in one run, each ratio the median of five interleaved rounds, with its spread.

Writes bench.json: `{"Ratios": {name: number}, "Figures": {...}}`. Ratios compare within one run on one machine;
absolute figures are only for orientation.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench import claims, programs
from bench.deliveries import TEMPLATE, Way
from bench.load import requests_per_second
from bench.programs import KEY
from learning_hub.rendering import Renderer, RenderJob, write_scope
from learning_hub.store.database import Database

ROUNDS = 5
REQUESTS = 2_000
CONNECTIONS = 64
RENDERS = 1_000
EVENT = {
    "PublisherProgramId": "BENCH",
    "PublisherSystemId": "TopClass",
    "EventType": "AI_COMP_SUCCESS",
    "PublisherEventId": "",
    "PublisherParticipantId": "robin.vale@example.org",
    "PublisherEventCategory": {"value": "Online", "label": "Online course"},
    "PublisherEventData": {
        "Activity Code": "FIRE-201",
        "Activity Title": "Fire safety refresher",
        "Completion Date": "2026-11-20T15:20:00Z",
        "Credits": 1.5,
        "Credit Type Code": "CPD",
    },
    "EventStartUtc": "2026-11-20T14:00:00Z",
}


def main() -> None:
    """Measure, show and write."""
    rounds = asyncio.run(measure())
    ratios = {name: statistics.median(values) for name, values in rounds["ratios"].items()}
    figures = {name: statistics.median(values) for name, values in rounds["figures"].items()}
    show(rounds)
    Path("bench.json").write_text(json.dumps({"Ratios": ratios, "Figures": figures}, indent=2) + "\n", encoding="utf-8")


async def measure() -> dict[str, dict[str, list[float]]]:
    """Five rounds of everything side by side."""
    ratios: dict[str, list[float]] = defaultdict(list)
    figures: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="learning-hub-bench-")))
        hub = stack.enter_context(programs.hub(folder / "publishing", "--no-worker"))
        prepare(hub.address)
        delivering = stack.enter_context(programs.hub(folder / "delivering"))
        prepare(delivering.address)
        way = Way(delivering, stack.enter_context(programs.sandbox()))
        stack.push_async_callback(way.close)
        await way.set_up()
        new, grown = await stack.enter_async_context(claims.tables(folder))
        for _ in range(ROUNDS):
            await publish_round(hub.address, ratios, figures)
            await deliver_round(way, ratios, figures)
            await claim_round(new, grown, ratios, figures)
            figures["render_per_second"].append(await renders_per_second())
    return {"ratios": ratios, "figures": figures}


async def publish_round(address: str, ratios: dict[str, list[float]], figures: dict[str, list[float]]) -> None:
    """Publishing beside answering nothing, and together beside alone."""
    noop = await requests_per_second(
        address,
        itertools.repeat(a_get("/health/live")),
        count=REQUESTS,
        connections=CONNECTIONS,
        expected=b"200",
    )
    together = await requests_per_second(address, events(), count=REQUESTS, connections=CONNECTIONS, expected=b"201")
    lone = await requests_per_second(address, events(), count=REQUESTS // 10, connections=1, expected=b"201")
    ratios["publish_single_vs_noop"].append(together / noop)
    ratios["publish_together_vs_lone"].append(together / lone)
    figures["noop_per_second"].append(noop)
    figures["publish_per_second"].append(together)
    figures["publish_lone_per_second"].append(lone)


async def deliver_round(way: Way, ratios: dict[str, list[float]], figures: dict[str, list[float]]) -> None:
    """Delivering beside an HTTP client that makes the same requests."""
    delivered = await way.deliver(EVENT)
    bare = await way.repeat(await way.requests())
    ratios["deliver_vs_bare_http"].append(delivered / bare)
    figures["deliver_per_second"].append(delivered)
    figures["bare_http_per_second"].append(bare)


async def claim_round(
    new: Database, grown: Database, ratios: dict[str, list[float]], figures: dict[str, list[float]]
) -> None:
    """Claiming from a table that has grown for years beside one at its beginning."""
    at_first, later = await claims.claims_per_second(new), await claims.claims_per_second(grown)
    ratios["claim_at_1m_vs_empty"].append(later / at_first)
    figures["claim_per_second"].append(at_first)
    figures["claim_at_1m_per_second"].append(later)


def prepare(address: str) -> None:
    """A Program to publish for."""
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        client.put("/programs/BENCH", json={"Name": "Bench"}).raise_for_status()


def a_get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\n\r\n".encode()


def events() -> Iterator[bytes]:
    """Requests that publish one event after the other, none twice."""
    run = uuid.uuid4().hex
    for number in itertools.count():
        body = json.dumps(EVENT | {"PublisherEventId": f"{run}:{number}"}).encode()
        head = f"POST /events HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body


async def renders_per_second() -> float:
    """Seven-field payloads a second through one child process."""
    scope = write_scope(
        EVENT, participant_id="10042", subscription_id="s", subscription_name="S", program_id="BENCH", program_name="B"
    )
    job = RenderJob(templates_json=json.dumps({"_default": TEMPLATE}), category="Online", scope_json=scope)
    async with Renderer(processes=1) as renderer:
        await renderer.render(job)
        began = asyncio.get_running_loop().time()
        await renderer.render_many([job] * RENDERS)
        return RENDERS / (asyncio.get_running_loop().time() - began)


def show(rounds: dict[str, dict[str, list[float]]]) -> None:
    """A table of medians with their spread."""
    table = Table("what", "median", "least", "most", title=f"{ROUNDS} interleaved rounds, {CONNECTIONS} connections")
    for name, values in [*rounds["ratios"].items(), *rounds["figures"].items()]:
        numbers = [statistics.median(values), min(values), max(values)]
        table.add_row(name, *(f"{number:.2f}" if number < 100 else f"{number:,.0f}" for number in numbers))
    Console().print(table)


if __name__ == "__main__":
    main()
