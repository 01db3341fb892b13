"""While a request may still be carried out at iMIS, the hub sends nothing else for its source record."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from running import eventually

from learning_hub.settings import Settings

ACTIVITY = "/api/Activity"
LATE_SECONDS = 4.0
CHANGED = {"Activity Code": "FIRE-201", "Activity Title": "Mended"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A late request arrives after the hub's time-out, and well before the hub may send again."""
    return replace(settings, retry_seconds=(0.1,) * 8, settle_seconds=6, send_timeout_seconds=2, probe_seconds=0.1)


async def in_doubt(hub: ImisHub, **changes: Any) -> tuple[str, dict[str, Any]]:
    """An event whose record arrives late at iMIS, after the attempt timed out."""
    await hub.fault("late", Method="POST", Path=ACTIVITY, Times=1, Seconds=LATE_SECONDS)
    event = await hub.publish(**changes)
    return event, await hub.settled(event, "retrying", "parked")


async def test_a_newer_revision_waits_for_the_end_of_the_doubt(imis_hub: ImisHub) -> None:
    """A revision published while the first one may still arrive becomes an update of it, not a second record."""
    await imis_hub.set_up()
    first, delivery = await in_doubt(imis_hub)
    assert delivery["Code"] == "outcome_unknown"

    second = await imis_hub.publish(PublisherEventData=CHANGED)

    await imis_hub.settled(second, "delivered")
    assert [one["DESCRIPTION"] for one in await imis_hub.activities()] == ["Mended"]
    assert (await imis_hub.deliveries_of(first))[0]["State"] == "superseded"


@pytest.mark.parametrize("way", ["requeue", "test"])
async def test_a_person_who_is_quick_doubles_nothing(imis_hub: ImisHub, way: str) -> None:
    """A requeue or a test send of a delivery with unknown outcome sends it only once the doubt is over."""
    await imis_hub.set_up()
    event, delivery = await in_doubt(imis_hub)

    if way == "requeue":
        answer = await imis_hub.client.post(f"/deliveries/{delivery['DeliveryId']}/requeue")
    else:
        body = {"EventId": event.removeprefix("/events/")}
        answer = await imis_hub.client.post("/subscriptions/completions/test", json=body)

    assert answer.status_code == 200
    await imis_hub.settled(event, "delivered")
    assert len(await imis_hub.activities()) == 1


async def test_a_removal_waits_for_what_is_to_be_removed(imis_hub: ImisHub) -> None:
    """A withdrawal while the record may still arrive removes it after it has."""
    await imis_hub.set_up(OnWithdraw="remove")
    event, _ = await in_doubt(imis_hub)

    assert (await imis_hub.client.delete(event)).status_code == 204

    removal = await imis_hub.settled(event, "delivered")
    assert (removal["Action"], removal["State"]) == ("remove", "delivered")
    assert await imis_hub.activities() == []


async def test_another_event_of_the_source_record_waits_as_well(imis_hub: ImisHub) -> None:
    """Started is in doubt, completed follows: one record in the end, also where started is parked by then."""
    await imis_hub.set_up(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"])
    await in_doubt(imis_hub, EventType="AI_STARTED")

    completed = await imis_hub.publish(EventType="AI_COMP_SUCCESS", PublisherEventData=CHANGED)

    await imis_hub.settled(completed, "delivered")
    assert [one["DESCRIPTION"] for one in await imis_hub.activities()] == ["Mended"]


async def test_a_late_update_does_not_win_over_a_newer_one(imis_hub: ImisHub) -> None:
    """An update that is carried out late is followed by the newer revision, not the other way round."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())
    await imis_hub.fault("late", Method="PUT", Path=ACTIVITY, Times=1, Seconds=LATE_SECONDS)
    second = await imis_hub.publish(PublisherEventData={**CHANGED, "Activity Title": "Second"})
    await imis_hub.settled(second, "retrying")

    third = await imis_hub.publish(PublisherEventData={**CHANGED, "Activity Title": "Third"})

    await imis_hub.settled(third, "delivered")
    assert [one["DESCRIPTION"] for one in await imis_hub.activities()] == ["Third"]


async def test_what_surely_was_not_carried_out_keeps_its_schedule(imis_hub: ImisHub) -> None:
    """Attempts that were answered with "not now" follow the schedule, however many, and leave nothing to remove."""
    await imis_hub.set_up(OnWithdraw="remove")
    await imis_hub.fault("429", Method="POST", Path=ACTIVITY)
    event = await imis_hub.publish()
    await imis_hub.settled(event, "retrying")

    async def attempts() -> int:
        return int((await imis_hub.deliveries_of(event))[0]["Attempts"])

    # With the settling time of 6 seconds between them, so many tries would take half a minute.
    await eventually(attempts, until=lambda count: count >= 6, seconds=25)
    assert (await imis_hub.client.delete(event)).status_code == 204
    withdrawn = await imis_hub.settled(event, "skipped", "parked")
    assert [one["Action"] for one in await imis_hub.deliveries_of(event)] == ["send"]
    assert withdrawn["State"] in ("skipped", "parked")
