"""
`make bench`: everything in one run, each ratio the median of five interleaved rounds, with its spread.

Writes bench.json: `{"Ratios": {name: number}, "Figures": {...}}`. Ratios compare within one run on one machine;
absolute figures are only for orientation.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.load import requests_per_second
from learning_hub.rendering import Renderer, RenderJob, write_scope

KEY = "bench-admin-key-0123456789"
ROUNDS = 5
REQUESTS = 2_000
CONNECTIONS = 64
RENDERS = 1_000
TEMPLATE = {
    "ActivityType": "TCLEARNING",
    "Source": "TopClass",
    "Subtype": "{{ data['Activity Code'] }}",
    "Description": "{{ data['Activity Title'] | text: 255 }}",
    "EffectiveDate": "{{ data['Completion Date'] | imis_datetime }}",
    "Units": "{{ data['Credits'] | decimal }}",
    "CeuType": "{{ data['Credit Type Code'] | default: nil }}",
}
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
    with tempfile.TemporaryDirectory(prefix="learning-hub-bench-") as home, serving(Path(home)) as address:
        prepare(address)
        ratios: dict[str, list[float]] = {"publish_single_vs_noop": [], "publish_together_vs_lone": []}
        figures: dict[str, list[float]] = {
            "noop_per_second": [], "publish_per_second": [], "publish_lone_per_second": [], "render_per_second": [],
        }  # fmt: skip
        for _ in range(ROUNDS):
            noop = await requests_per_second(
                address,
                itertools.repeat(a_get("/health/live")),
                count=REQUESTS,
                connections=CONNECTIONS,
                expected=b"200",
            )
            together = await requests_per_second(
                address, events(), count=REQUESTS, connections=CONNECTIONS, expected=b"201"
            )
            lone = await requests_per_second(address, events(), count=REQUESTS // 10, connections=1, expected=b"201")
            ratios["publish_single_vs_noop"].append(together / noop)
            ratios["publish_together_vs_lone"].append(together / lone)
            figures["noop_per_second"].append(noop)
            figures["publish_per_second"].append(together)
            figures["publish_lone_per_second"].append(lone)
            figures["render_per_second"].append(await renders_per_second())
        return {"ratios": ratios, "figures": figures}


class serving:  # noqa: N801 - used like a function
    """A hub in a process of its own, with its own PostgreSQL under *home*; its address."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> str:
        environment = os.environ | {
            "LEARNING_HUB_HOME": str(self._home),
            "LEARNING_HUB_ADMIN_KEY": KEY,
            "LEARNING_HUB_LOG_LEVEL": "warning",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "learning_hub", "serve", "--port", "0", "--json", "--no-worker"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        return str(json.loads(self._process.stdout.readline())["Address"])

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)


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
