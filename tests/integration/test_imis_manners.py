"""How the hub behaves towards an iMIS: one write at a time, and nobody looked up twice."""

from __future__ import annotations

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace

from learning_hub.settings import Settings


async def send_two_of_robin(imis_hub: ImisHub) -> int:
    """Two events of one person, one after the other; how often iMIS was asked who it is."""
    await imis_hub.set_up()
    for number in range(2):
        await imis_hub.delivered(await imis_hub.publish(PublisherEventId=f"AI:{number}"))
    return len(await imis_hub.requests("/api/PartySummary"))


async def test_a_participant_is_looked_up_once(imis_hub: ImisHub) -> None:
    """What was found is remembered for a while."""
    assert await send_two_of_robin(imis_hub) == 1


class TestWithAShortMemory:
    """What was found is forgotten at once."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, participant_remembered_seconds=0)

    async def test_a_participant_is_looked_up_anew_after_its_time(self, imis_hub: ImisHub) -> None:
        """Who somebody is can change at iMIS, so that it is not remembered for ever."""
        assert await send_two_of_robin(imis_hub) == 2


@pytest.mark.parametrize("most", [1, 3])
async def test_so_many_requests_are_under_way_as_the_subscriber_takes(most: int, imis_hub: ImisHub) -> None:
    """One at a time as the vendor asks, unless MaxConcurrency says more."""
    await imis_hub.set_up()
    if most > 1:
        await imis_hub.put_subscriber(MaxConcurrency=most)
    await imis_hub.fault("slow", Path="/api/Activity", Seconds=0.2)
    events = [await imis_hub.publish(PublisherEventId=f"AI:{number}") for number in range(8)]
    for event in events:
        await imis_hub.delivered(event)
    assert max(one["InFlight"] for one in await imis_hub.requests("/api")) == most
