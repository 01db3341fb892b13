"""Subscribers behind a line that fails in every way: nothing is lost, and nothing doubled that must not be."""

from __future__ import annotations

import asyncio

import pytest
from faults import scale
from faults.faulty_line import FaultyLine, Misdeed
from faults.final_deliveries import finished
from faults.kinds import a_subscriber
from faults.story import Publisher, a_story
from http_server import running
from msgspec.structs import replace
from running import ADMIN_KEY, RunningHub

from learning_hub.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """
    Tries that end and come again soon, and are never used up.

    What is late is carried out within the settling time after the time-out, as a subscriber is trusted to.
    """
    return replace(settings, retry_seconds=(0.2,) * 200, send_timeout_seconds=1, settle_seconds=3, probe_seconds=0.1)


@pytest.mark.parametrize("name", ["imis", "webhook", "learningbuilder"])
async def test_a_faulty_line_loses_and_doubles_nothing(hub: RunningHub, name: str) -> None:
    """Requests are lost, cut, late and answered by others at random; in the end each kind of subscriber is right."""
    async with a_subscriber(name) as subscriber:
        story = a_story(scale.chance("story"), scale.of(120, 1000), with_withdrawals=subscriber.takes_back)
        line = FaultyLine(subscriber.address, scale.chance("line"))
        async with running(line):
            await hub.make_program("NURSES")
            await subscriber.set_up(hub.client, line.address)
            publisher = Publisher(
                lambda: [hub.address], {"X-API-Key": ADMIN_KEY}, scale.chance("publisher"), longest_wait_seconds=0.3
            )
            await publisher.tell(story)
            await asyncio.sleep(scale.of(3, 60))
            await line.be_honest()
            deliveries = await finished(hub.client, story, subscriber.subscriptions, seconds=scale.of(120, 600))
            print(line, deliveries)  # noqa: T201 - for whoever sees it fail
            await subscriber.is_right(hub.client, story, deliveries)


async def test_a_503_that_is_not_true_doubles_nothing_at_imis(hub: RunningHub) -> None:
    """Of a gateway that answers 503 after iMIS carried the request out, each record is there once all the same."""
    async with a_subscriber("imis") as subscriber:
        story = a_story(scale.chance("story"), 20, with_withdrawals=False)
        line = FaultyLine(
            subscriber.address, scale.chance("line"), share_of_writes=0.5, misdeeds=[Misdeed.SAYS_503_AFTER]
        )
        async with running(line):
            await hub.make_program("NURSES")
            await subscriber.set_up(hub.client, line.address)
            publisher = Publisher(
                lambda: [hub.address], {"X-API-Key": ADMIN_KEY}, scale.chance("publisher"), longest_wait_seconds=0.1
            )
            await publisher.tell(story)
            await asyncio.sleep(2)
            await line.be_honest()
            deliveries = await finished(hub.client, story, subscriber.subscriptions, seconds=60)
            assert line.done[Misdeed.SAYS_503_AFTER] > 5
            await subscriber.is_right(hub.client, story, deliveries)
