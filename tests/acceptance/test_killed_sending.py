"""A hub that is killed in the midst of sending to subscribers that cannot be asked what they have."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import an_event_body
from http_server import Fault, Receiver, Says, running
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder
from plain_http import plain_async_client
from programs import Served, served
from running import ADMIN_KEY, eventually

EVENTS = 6
HELD = Fault(carried_out=True, says=Says(204), after_seconds=600)


@pytest.fixture
def settings(tmp_path: Path, database_address: str) -> dict[str, str]:
    """Of a hub on this test's database that tries again soon."""
    return {
        "HOME": str(tmp_path / "home"),
        "ADMIN_KEY": ADMIN_KEY,
        "DATABASE_URL": database_address,
        "ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
        "RETRY_SECONDS": "1,1,1,1,1,1",
        "SETTLE_SECONDS": "1",
        "PROBE_SECONDS": "0.5",
    }


class Life:
    """A hub process, and what is asked of it while a subscriber answers on this loop."""

    def __init__(self, program: Served, client: httpx.AsyncClient) -> None:
        self._program = program
        self._client = client

    async def set_up(self, subscriber: dict[str, Any], target: dict[str, Any]) -> None:
        """A Program, a subscriber and a subscription."""
        subscription = {
            "Name": "All",
            "SubscriberId": "s",
            "ProgramId": "NURSES",
            "EventTypes": ["AI_COMP_SUCCESS"],
            "Target": target,
            "Templates": {"_default": {"Source": "{{ event.PublisherEventId }}"}},
        }
        for path, body in (
            ("/programs/NURSES", {"Name": "Nurses"}),
            ("/subscribers/s", {"Name": "S", **subscriber}),
            ("/subscriptions/all", subscription),
        ):
            answer = await self._client.put(path, json=body)
            assert answer.status_code == 201, answer.text

    async def publish(self) -> None:
        events = [an_event_body(PublisherEventId=f"AI:{number}") for number in range(EVENTS)]
        answer = await self._client.post("/events/batch", json=events)
        assert [result["Status"] for result in answer.json()["Results"]] == [201] * EVENTS

    async def deliveries(self) -> list[dict[str, Any]]:
        return list((await self._client.get("/deliveries")).json()["Items"])

    async def all_are(self, state: str) -> list[dict[str, Any]]:
        """The deliveries, once all are in *state*."""
        return list(
            await eventually(
                self.deliveries,
                until=lambda items: [one["State"] for one in items] == [state] * EVENTS,
                seconds=60,
            )
        )

    def kill(self) -> None:
        """Nothing of it is left to say anything."""
        self._program.stop(signal.SIGKILL)


@asynccontextmanager
async def life(settings: dict[str, str], log: Path) -> AsyncIterator[Life]:
    with served(settings=settings, log=log) as program:
        async with plain_async_client(program.address, headers={"X-API-Key": ADMIN_KEY}) as client:
            yield Life(program, client)


async def test_a_webhook_gets_everything_after_a_kill(settings: dict[str, str], tmp_path: Path) -> None:
    """What was posted and not yet acknowledged is posted again, with the same webhook-id; nothing is lost."""
    receiver = Receiver()
    receiver.standing = HELD
    async with running(receiver):
        async with life(settings, tmp_path / "first") as first:
            url = {"Url": f"{receiver.address}/hook"}
            await first.set_up({"Connector": "webhook", "Settings": url}, {"Kind": "post"})
            await first.publish()

            async def taken() -> int:
                return len(receiver.taken)

            await eventually(taken, until=lambda count: count == EVENTS)
            first.kill()
        receiver.standing = None
        async with life(settings, tmp_path / "second") as second:
            delivered = await second.all_are("delivered")

    times = Counter(one.headers["webhook-id"] for one in receiver.taken)
    assert times == {one["DeliveryId"]: 2 for one in delivered}
    assert {one.value["Source"] for one in receiver.taken} == {f"AI:{number}" for number in range(EVENTS)}


def a_learningbuilder(site: LearningBuilder) -> dict[str, Any]:
    settings = {"BaseUrl": site.address}
    return {"Connector": "learningbuilder", "Settings": settings, "Credentials": {"ApiKey": API_KEY}}


TARGET = {"Kind": "import", "ImportProcessId": PROCESS}


async def test_a_batch_under_way_is_parked_after_a_kill(settings: dict[str, str], tmp_path: Path) -> None:
    """A batch that was sent, and whose answer nobody heard, is not sent again by itself."""
    site = LearningBuilder()
    site.standing = HELD
    async with running(site):
        async with life(settings, tmp_path / "first") as first:
            await first.set_up(a_learningbuilder(site), TARGET)
            await first.publish()

            async def taken() -> int:
                return len(site.lines)

            await eventually(taken, until=lambda count: count == EVENTS)
            first.kill()
        site.standing = None
        async with life(settings, tmp_path / "second") as second:
            parked = await second.all_are("parked")

    assert {one["Code"] for one in parked} == {"outcome_unknown"}
    assert len(site.lines) == EVENTS


async def test_a_batch_that_was_not_sent_yet_goes_out_after_a_kill(settings: dict[str, str], tmp_path: Path) -> None:
    """What only waited for others in its batch is sent by the next life, each event once."""
    site = LearningBuilder()
    async with running(site):
        async with life(settings, tmp_path / "first") as first:
            await first.set_up(a_learningbuilder(site), TARGET)
            await first.publish()
            # A batch waits for two seconds.
            await first.all_are("sending")
            assert site.received == []
            first.kill()
        async with life(settings, tmp_path / "second") as second:
            await second.all_are("delivered")

    assert sorted(line["Source"] for line in site.lines) == [f"AI:{number}" for number in range(EVENTS)]
