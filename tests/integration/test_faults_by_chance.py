"""An iMIS that fails some requests and not others, as the sandbox's `Share` has it, or carries them out late."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from panels import WITH_KEY

from learning_hub.settings import Settings

PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
ROW = {"CourseCode": "{{ event.PublisherEventId }}", "Course": "{{ data['Activity Title'] }}"}
EVENTS = 12


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A time-out that ends before a late request is carried out, and a settling time in which it is."""
    return replace(settings, retry_seconds=(0.1,) * 8, send_timeout_seconds=2, settle_seconds=3, probe_seconds=0.1)


@pytest.fixture
async def hub(imis_hub: ImisHub) -> ImisHub:
    await imis_hub.make_panel("LH_Learning", WITH_KEY)
    await imis_hub.set_up(Target=PANEL, Templates={"_default": ROW})
    await imis_hub.put_subscriber(MaxConcurrency=4)
    return imis_hub


async def fired(hub: ImisHub) -> list[dict[str, Any]]:
    """The requests that the fault hit."""
    return [one for one in await hub.requests("/api/LH_Learning") if one["Fault"]]


@pytest.mark.parametrize("fault", ["cut-after", "cut-before", "500", "503"])
async def test_each_row_is_there_once_though_a_share_of_requests_fails(hub: ImisHub, fault: str) -> None:
    """Writes that chance spares go through, those it hits are sent again or found again; nothing is doubled or lost."""
    await hub.fault(fault, Path="/api/LH_Learning", Method="POST", Share=0.4, Times=6)

    events = [await hub.publish(PublisherEventId=f"AI:{number}") for number in range(EVENTS)]
    for event in events:
        await hub.settled(event, "delivered", seconds=60)

    assert 0 < len(await fired(hub)) < EVENTS
    rows = (await hub.state())["Panels"]["LH_Learning"]
    assert sorted(row["CourseCode"] for row in rows) == sorted(f"AI:{number}" for number in range(EVENTS))


async def test_a_row_that_arrives_late_is_there_once(hub: ImisHub) -> None:
    """A panel's row is inserted after its try was given up, and found before it would be sent again."""
    await hub.fault("late", Path="/api/LH_Learning", Method="POST", Times=1, Seconds=3.5)

    delivery = await hub.settled(await hub.publish(PublisherEventId="AI:1"), "delivered", seconds=60)

    assert delivery["Attempts"] >= 2
    assert [one["Status"] for one in await fired(hub)] == [201]
    assert [row["CourseCode"] for row in (await hub.state())["Panels"]["LH_Learning"]] == ["AI:1"]


async def test_an_update_that_arrives_late_changes_nothing_newer(hub: ImisHub) -> None:
    """The revision after one whose update is still under way waits for it, so that the last one stands."""
    first = await hub.publish(PublisherEventId="AI:1")
    await hub.delivered(first)
    await hub.fault("late", Path="/api/LH_Learning", Method="PUT", Times=1, Seconds=3.5)

    await hub.settled(
        await hub.publish(PublisherEventId="AI:1", PublisherEventData={"Activity Title": "Second"}), "retrying"
    )
    third = await hub.publish(PublisherEventId="AI:1", PublisherEventData={"Activity Title": "Third"})
    await hub.settled(third, "delivered", seconds=60)

    assert [one["Status"] for one in await fired(hub)] in ([200], [201])
    (row,) = (await hub.state())["Panels"]["LH_Learning"]
    assert row["Course"] == "Third"
