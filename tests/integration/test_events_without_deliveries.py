"""What is said of an event that no subscription has a delivery of."""

from __future__ import annotations

from typing import Any

from imis_hub import ImisHub
from running import eventually


async def test_an_event_that_nobody_takes_says_so(imis_hub: ImisHub) -> None:
    """The answer names what the subscriptions of the Program take instead; it is null where there is a delivery."""
    client = imis_hub.client
    await imis_hub.hub.make_program()

    async def message(event: str) -> str | None:
        answer: dict[str, Any] = (await client.get(f"{event}/deliveries")).json()
        assert (answer["Message"] is None) == bool(answer["Items"])
        said: str | None = answer["Message"]
        return said

    early = await imis_hub.publish(PublisherEventId="AI:1")
    assert await message(early) == "The Program NURSES has no subscription."

    await imis_hub.set_up(PublisherSystemId="TopClass", StartFrom="now")
    other_type = await imis_hub.publish(PublisherEventId="AI:2", EventType="LPI_STARTED")
    assert await message(other_type) == (
        "No subscription of the Program NURSES takes events of the type LPI_STARTED, only AI_COMP_SUCCESS."
    )
    other_system = await imis_hub.publish(PublisherEventId="AI:3", PublisherSystemId="OpenWater")
    assert await message(other_system) == (
        "No subscription of the Program NURSES takes events of the type AI_COMP_SUCCESS from the system OpenWater, "
        "only from TopClass."
    )
    assert await message(early) == (
        "Subscriptions that take such events: completions. The event was stored before they were started, or the hub "
        "has not read it yet. A run of the subscription for this event sends it."
    )
    assert (await client.delete(early)).status_code == 204
    assert await message(early) == "The publisher has withdrawn the event, so it is not sent."
    taken = await imis_hub.publish(PublisherEventId="AI:4")
    assert await eventually(lambda: message(taken), until=lambda found: found is None) is None


async def test_a_reopening_that_removes_nothing_says_so(imis_hub: ImisHub) -> None:
    """A type that removes what was sent makes no delivery where nothing was sent."""
    await imis_hub.set_up(OnReopened="remove")
    event = await imis_hub.publish(EventType="AI_REOPENED")
    answer = (await imis_hub.client.get(f"{event}/deliveries")).json()
    assert answer["Message"] == (
        "Events of the type AI_REOPENED only remove records that were sent before, and none was sent of this source."
    )
