"""
Stop, start, requeue, discard and archive a million deliveries, while others publish and a subscriber receives.

    .venv/bin/python -m bench.many_deliveries

It takes about eight minutes, most of it for filling the tables. It prints how long each response took, what reached the
subscriber against the new state, how many deliveries a second followed, and the p95 of publishing meanwhile. The exit
status is 1 if a response took over two seconds, or anything was sent against a new state.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from bench import programs, server
from bench.events import a_post, bodies
from bench.filling import fill_events
from bench.load import seconds_each
from bench.programs import KEY
from bench.setting_up import make_program
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("many_deliveries", package=__package__)

AT_ONCE = 50_000
EVENTS = 50_000
LIMIT_SECONDS = 900
# How long each change is watched; a change that is not finished by then goes on beside the next one.
WATCH_SECONDS = 15
ANSWER_SECONDS = 2.0
PUBLISH_EVERY_SECONDS = 0.02


class Receiver:
    """A webhook that takes everything after some milliseconds, and remembers when each request arrived."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, str]] = []

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/{subscription}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _take(self, request: web.Request) -> web.Response:
        self.arrived.append((time.perf_counter(), (await request.json())["Subscription"]))
        await asyncio.sleep(0.01)
        return web.Response(status=204)

    async def stop(self) -> None:
        await self._runner.cleanup()


class Publisher:
    """Publishes an event every few milliseconds, and measures each response."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._bodies = bodies()
        self._seconds: list[float] = []

    async def run(self) -> None:
        while True:
            requests = [a_post("/events", body) for body in itertools.islice(self._bodies, 5)]
            self._seconds += await seconds_each(self._address, requests, expected=b"201")
            await asyncio.sleep(PUBLISH_EVERY_SECONDS * len(requests))

    def p95_milliseconds(self) -> float:
        """Since it was asked for last."""
        seconds, self._seconds = self._seconds, []
        return statistics.quantiles(seconds, n=20)[-1] * 1000


class Measurement:
    """The hub, its subscriber and its publisher."""

    def __init__(self, client: httpx.AsyncClient, receiver: Receiver, publisher: Publisher) -> None:
        self._client = client
        self._receiver = receiver
        self._publisher = publisher
        self.is_kept = True

    async def change(self, name: str, method: str, path: str, *, silences: str | None = None, **request: Any) -> None:
        """Make a change, print what became of it, and watch it; nothing of subscription *silences* may be sent."""
        began = time.perf_counter()
        answer = await self._client.request(method, path, **request)
        answered = time.perf_counter()
        answer.raise_for_status()
        done, ended = await self._watch(name)
        against = [one for one in self._receiver.arrived if one[0] > answered and one[1] == silences]
        self.is_kept = self.is_kept and answered - began <= ANSWER_SECONDS and not against
        number = "" if answer.status_code == 204 else {**answer.json()}.get(f"{name.capitalize().rstrip('e')}ed", "")
        print(
            f"{name:8} answered in {answered - began:.2f} s {number}\n"
            f"         sent against it {len(against)}, {done / (ended - answered):,.0f} deliveries a second follow "
            f"({done:,} so far), publishing p95 {self._publisher.p95_milliseconds():.0f} ms",
            flush=True,
        )

    async def _watch(self, trigger: str) -> tuple[int, float]:
        """How many deliveries followed, and until when."""
        until = time.perf_counter() + WATCH_SECONDS
        while True:
            await asyncio.sleep(1)
            runs = (await self._client.get("/runs")).raise_for_status().json()["Items"]
            run = next((one for one in runs if one["Trigger"] == trigger), None)
            if run is None:
                # It concerned nothing.
                return 0, time.perf_counter()
            if run["State"] != "running" or time.perf_counter() > until:
                return run["Progress"]["Done"], time.perf_counter()


async def set_up(client: httpx.AsyncClient, receiver: str) -> None:
    """Make a webhook, and two subscriptions, of which one is stopped."""
    subscriber = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": f"{receiver}/hook"}}
    (await client.put("/subscribers/hook", json=subscriber)).raise_for_status()
    for subscription_id, state in (("many", "started"), ("failed", "stopped")):
        body = {
            "Name": subscription_id,
            "SubscriberId": "hook",
            "ProgramId": "BENCH",
            # Events of the publisher beside are of another type.
            "EventTypes": ["LPI_STARTED"],
            "Target": {"Kind": "post"},
            "Templates": {"_default": {"Subscription": "{{ subscription.Id }}"}},
            "State": state,
        }
        (await client.put(f"/subscriptions/{subscription_id}", json=body)).raise_for_status()


async def fill(database: Database, count: int) -> None:
    """Fill both subscriptions."""
    async with database.connection() as connection:
        for subscription_id, state in (("failed", "parked"), ("many", "waiting")):
            for first in range(1, count + 1, AT_ONCE):
                last = min(first + AT_ONCE - 1, count)
                await connection.execute(queries.fill, first, last, state, subscription_id, timeout=LIMIT_SECONDS)
        await connection.execute(queries.vacuum, timeout=LIMIT_SECONDS)
        await connection.execute(queries.write_out, timeout=LIMIT_SECONDS)


async def measure(count: int, home: Path) -> bool:
    """Measure all changes; returns whether the promises are kept."""
    receiver = Receiver()
    async with server.database(home, max_connections=3) as database:
        with programs.hub(database.address) as hub:
            make_program(hub.address)
            headers = {"X-API-Key": KEY}
            async with httpx.AsyncClient(base_url=hub.address, headers=headers, timeout=60, trust_env=False) as client:
                await fill_events(database, min(count, EVENTS))
                await set_up(client, await receiver.start())
                began = time.perf_counter()
                await fill(database, count)
                print(
                    f"{count:,} waiting and {count:,} parked, filled in {time.perf_counter() - began:.0f} s", flush=True
                )
                publisher = Publisher(hub.address)
                publishing = asyncio.create_task(publisher.run())
                await asyncio.sleep(WATCH_SECONDS / 2)
                p95 = publisher.p95_milliseconds()
                print(f"{len(receiver.arrived)} sent before, publishing p95 {p95:.0f} ms", flush=True)
                measurement = Measurement(client, receiver, publisher)
                await measurement.change("stop", "POST", "/subscriptions/many/stop", silences="many")
                await measurement.change("start", "POST", "/subscriptions/many/start")
                failed = {"State": "parked", "SubscriptionId": "failed"}
                await measurement.change("requeue", "POST", "/deliveries/requeue", params=failed)
                await measurement.change("archive", "DELETE", "/subscriptions/many", silences="many")
                reason = {"Reason": "A measurement."}
                await measurement.change("discard", "POST", "/deliveries/discard", params=failed, json=reason)
                publishing.cancel()
    await receiver.stop()
    return measurement.is_kept


def main() -> None:
    """Measure, with as many deliveries as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="how many wait, and how many are parked")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        sys.exit(0 if asyncio.run(measure(arguments.deliveries, Path(home))) else 1)


if __name__ == "__main__":
    main()
