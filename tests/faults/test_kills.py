"""Hub processes that are killed at random while they take and send: nothing is lost, and nothing is doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from faults import scale
from faults.faulty_line import FaultyLine
from faults.final_deliveries import finished
from faults.hub_processes import HubProcesses, killed_meanwhile, running_hubs
from faults.kinds import Kind, a_subscriber, put
from faults.story import Publisher, a_story
from http_server import running
from plain_http import plain_async_client
from running import ADMIN_KEY

HEADERS = {"X-API-Key": ADMIN_KEY}


@pytest.fixture
def settings(tmp_path: Path, database_address: str) -> dict[str, str]:
    """
    Of hubs on one database that try again soon and for long.

    A lease lasts longer than any of these tests: what a killed worker held is released because it is gone.
    """
    return {
        "HOME": str(tmp_path / "home"),
        "ADMIN_KEY": ADMIN_KEY,
        "DATABASE_URL": database_address,
        "SECRET_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
        "MAX_CONNECTIONS": "10",
        "RENDER_PROCESSES": "1",
        "RETRY_SECONDS": ",".join(["0.2"] * 200),
        "SEND_TIMEOUT_SECONDS": "2",
        # Longer than the line keeps what it carries out late: nothing can be completed sooner.
        "SETTLE_SECONDS": "4",
        "PROBE_SECONDS": "0.1",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "warning",
    }


@pytest.mark.parametrize("name", ["imis", "webhook", "learningbuilder"])
async def test_killed_hubs_lose_and_double_nothing(name: str, settings: dict[str, str], tmp_path: Path) -> None:
    """Two hubs are killed again and again while a publisher repeats what was not answered; in the end all is right."""
    hubs = HubProcesses(["serve", "serve"] if not scale.IS_LONG else ["serve", "serve", "work"], settings, tmp_path)
    async with a_subscriber(name) as subscriber, running_hubs(hubs), _line_to(subscriber) as line:
        async with plain_async_client(hubs.addresses()[0], headers=HEADERS) as client:
            await put(client, "/programs/NURSES", {"Name": "Nurses"})
            await subscriber.set_up(client, line.address)
        story = a_story(scale.chance("story"), scale.of(60, 800), with_withdrawals=subscriber.takes_back)
        publisher = Publisher(hubs.addresses, HEADERS, scale.chance("publisher"), longest_wait_seconds=0.6)
        async with killed_meanwhile(hubs, scale.chance("kills"), (0.2, 1.5)):
            await publisher.tell(story)
            await asyncio.sleep(scale.of(2, 60))
        await line.be_honest()
        async with plain_async_client(hubs.addresses()[0], headers=HEADERS) as client:
            deliveries = await finished(client, story, subscriber.subscriptions, seconds=scale.of(120, 600))
            print(f"{hubs.kills} kills; published again: {publisher.repeated}; {line}; {deliveries}")  # noqa: T201
            await subscriber.is_right(client, story, deliveries)
    assert hubs.errors() == []


@asynccontextmanager
async def _line_to(subscriber: Kind) -> AsyncIterator[FaultyLine]:
    """A line over which answers take their time, so that kills come before them; in the long form it fails as well."""
    line = FaultyLine(
        subscriber.address,
        scale.chance("line"),
        share_of_writes=scale.of(0, 1) * 0.2,
        share_of_reads=scale.of(0, 1) * 0.02,
        late_seconds=(2.3, 3.3),
        slow_seconds=subscriber.slow_seconds,
    )
    async with running(line):
        yield line
