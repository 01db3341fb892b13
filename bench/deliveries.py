"""
Deliveries a second to the sandbox iMIS, compared with a bare HTTP client that makes the same requests.

The sandbox records the requests: the client sends the same ones in the same order for each record, with the same
bodies, as many at once, and with one token.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bench import programs, server
from bench.events import EVENT
from bench.programs import KEY, Running
from bench.results import Results
from bench.setting_up import make_program

RECORDS = 600
AT_ONCE = 8
TEMPLATE = {
    "ActivityType": "TCLEARNING",
    "Source": "TopClass",
    "Subtype": "{{ data['Activity Code'] }}",
    "Description": "{{ data['Activity Title'] | text: 255 }}",
    "EffectiveDate": "{{ data['Completion Date'] | imis_datetime }}",
    "Units": "{{ data['Credits'] | decimal }}",
    "CeuType": "{{ data['Credit Type Code'] | default: nil }}",
}
LOOK_SECONDS = 0.5


class Deliveries:
    """A hub with a worker, and the sandbox that it delivers to."""

    def __init__(self, hub: Running, imis: Running) -> None:
        self._imis = imis
        headers = {"X-API-Key": KEY}
        self._hub = httpx.AsyncClient(base_url=hub.address, headers=headers, timeout=60, trust_env=False)
        self._site = httpx.AsyncClient(base_url=imis.address, timeout=60, trust_env=False)

    async def round(self, results: Results) -> None:
        """Deliver, and make the same requests with a bare HTTP client."""
        delivered = await self.deliver(EVENT)
        bare = await self.repeat(await self.requests())
        results.ratios["deliver_vs_bare_http"].append(delivered / bare)
        results.figures["deliver_per_second"].append(delivered)
        results.figures["bare_http_per_second"].append(bare)

    async def set_up(self) -> None:
        """Make the sandbox a subscriber, with a stopped subscription."""
        subscriber = {
            "Name": "iMIS",
            "Connector": "imis",
            "Settings": {
                "BaseUrl": self._imis.address,
                "TimeZone": "America/New_York",
                "ParticipantLookup": "email",
                "MaxConcurrency": AT_ONCE,
            },
            "Credentials": {"Username": "sandbox", "Password": "sandbox"},
        }
        (await self._hub.put("/subscribers/imis", json=subscriber)).raise_for_status()
        await self._put_subscription("stopped")

    async def deliver(self, event: dict[str, Any]) -> float:
        """Deliveries completed a second, from the start of the subscription until the last one is delivered."""
        run = uuid.uuid4().hex
        lines = [json.dumps(event | {"PublisherEventId": f"{run}:{number}"}) for number in range(RECORDS)]
        await self._put_subscription("stopped")
        headers = {"Content-Type": "application/x-ndjson"}
        (await self._hub.post("/events/batch", content="\n".join(lines), headers=headers)).raise_for_status()
        await self._until_open(RECORDS)
        (await self._site.delete("/_sandbox/requests")).raise_for_status()
        began = datetime.now(UTC)
        await self._put_subscription("started")
        await self._until_open(0)
        # Measured by the hub's own times, because polling more often would slow the hub.
        query: dict[str, str | int] = {"State": "delivered", "Limit": RECORDS}
        found = (await self._hub.get("/deliveries", params=query)).raise_for_status().json()["Items"]
        ended = max(datetime.fromisoformat(one["DeliveredUtc"]) for one in found)
        return RECORDS / (ended - began).total_seconds()

    async def requests(self) -> list[dict[str, Any]]:
        """The requests that made a record since the deliveries began; each was followed by reading that record."""
        found = (await self._site.get("/_sandbox/requests")).raise_for_status().json()["Items"]
        made = [one for one in found if one["Method"] == "POST" and one["Status"] == 201]
        reads = [one for one in found if one["Method"] == "GET" and one["Path"].startswith("/api/Activity/")]
        # Each write is followed by a read of its record; the other requests are a sign-in and a participant's lookup.
        if len(made) != RECORDS or len(reads) != RECORDS:
            raise ValueError(f"{RECORDS} records took {len(made)} writes and {len(reads)} reads")
        return made

    async def repeat(self, records: Sequence[dict[str, Any]]) -> float:
        """Records a second when a bare HTTP client makes the same requests to an emptied sandbox."""
        (await self._site.post("/_sandbox/reset")).raise_for_status()
        form = {"grant_type": "password", "username": "sandbox", "password": "sandbox"}
        token = (await self._site.post("/token", data=form)).raise_for_status().json()["access_token"]
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        left = iter(records)
        async with httpx.AsyncClient(
            base_url=self._imis.address, headers=headers, limits=limits, timeout=60, trust_env=False
        ) as client:
            began = time.perf_counter()
            await asyncio.gather(*(_send(client, left) for _ in range(AT_ONCE)))
            return len(records) / (time.perf_counter() - began)

    async def close(self) -> None:
        """Close connections."""
        await self._hub.aclose()
        await self._site.aclose()

    async def _put_subscription(self, state: str) -> None:
        body = {
            "Name": "Completions",
            "SubscriberId": "imis",
            "ProgramId": "BENCH",
            "EventTypes": ["AI_COMP_SUCCESS"],
            "Target": {"Kind": "activity"},
            "Templates": {"_default": TEMPLATE},
            "State": state,
        }
        (await self._hub.put("/subscriptions/completions", json=body)).raise_for_status()

    async def _until_open(self, count: int) -> None:
        """Wait until *count* deliveries are open."""
        while True:
            text = (await self._hub.get("/metrics")).raise_for_status().text
            lines = [line for line in text.splitlines() if line.startswith("learning_hub_deliveries_open{")]
            if sum(float(line.rpartition(" ")[2]) for line in lines) == count:
                return
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def deliveries(home: Path) -> AsyncIterator[Deliveries]:
    """The deliveries, on their own server under *home*."""
    async with server.database(home) as database:
        with programs.hub(database.address) as hub, programs.sandbox() as imis:
            make_program(hub.address)
            found = Deliveries(hub, imis)
            try:
                await found.set_up()
                yield found
            finally:
                await found.close()


async def _send(client: httpx.AsyncClient, records: Iterator[dict[str, Any]]) -> None:
    for write in records:
        made = (await client.post(write["Path"], json=write["Body"])).raise_for_status().json()
        number = made["Identity"]["IdentityElements"]["$values"][0]
        (await client.get(f"{write['Path']}/{number}")).raise_for_status()
