"""Withdrawals, revisions and changes that come at the most awkward moment of a delivery."""

from __future__ import annotations

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from running import eventually

from learning_hub.settings import Settings

TEMPLATE = {"ActivityType": "TCLEARNING", "Description": "{{ data['Activity Title'] }}"}
UNREADABLE = {**TEMPLATE, "Description": "{{ data['Nothing of that name'] }}"}
ACTIVITY = "/api/Activity"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Failed tries are repeated soon and often, and what was cut is asked about soon."""
    return replace(settings, retry_seconds=(0.6,) * 50, settle_seconds=0.3, send_timeout_seconds=15)


@pytest.mark.parametrize("on_withdraw", ["keep", "remove"])
async def test_withdrawn_while_it_is_sent_and_that_fails(imis_hub: ImisHub, on_withdraw: str) -> None:
    """A try that fails after the withdrawal is not repeated: nothing is sent that was withdrawn before."""
    await imis_hub.set_up(OnWithdraw=on_withdraw)
    await imis_hub.fault("hold", Method="GET", Times=1)
    await imis_hub.fault("503", Method="POST", Path=ACTIVITY, Times=1)
    event = await imis_hub.publish()
    await _sending(imis_hub, event)

    assert (await imis_hub.client.delete(event)).status_code == 204
    await imis_hub.mend("hold")
    await eventually(
        lambda: imis_hub.deliveries_of(event),
        until=lambda items: all(one["State"] not in ("waiting", "sending", "retrying") for one in items),
    )

    (send,) = [one for one in await imis_hub.deliveries_of(event) if one["Action"] == "send"]
    assert (send["State"], send["Code"]) == ("skipped", "withdrawn")
    assert await imis_hub.activities() == []


async def test_withdrawn_while_it_is_sent_and_parked_then(imis_hub: ImisHub) -> None:
    """One that is parked after its withdrawal is not sent by being put back."""
    await imis_hub.set_up()
    await imis_hub.fault("hold", Method="GET", Times=1)
    await imis_hub.fault("refuse", Method="POST", Path=ACTIVITY, Times=1)
    event = await imis_hub.publish()
    delivery = await _sending(imis_hub, event)
    assert (await imis_hub.client.delete(event)).status_code == 204
    await imis_hub.mend("hold")
    await imis_hub.settled(event, "parked", "skipped")

    await imis_hub.client.post(f"/deliveries/{delivery['DeliveryId']}/requeue")
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:later"))

    await imis_hub.settled(event, "skipped")
    (after,) = await imis_hub.deliveries_of(event)
    assert after["Code"] == "withdrawn"
    assert len(await imis_hub.activities()) == 1


async def test_a_revision_while_the_first_one_is_sent_and_fails(imis_hub: ImisHub) -> None:
    """The failed first one is not sent again: the newer one takes its place at once."""
    await imis_hub.set_up()
    await imis_hub.fault("hold", Method="GET", Times=1)
    await imis_hub.fault("503", Method="POST", Path=ACTIVITY, Times=1)
    first = await imis_hub.publish()
    await _sending(imis_hub, first)

    second = await imis_hub.publish(PublisherEventData={"Activity Code": "FIRE-201", "Activity Title": "Mended"})
    await imis_hub.mend("hold")
    await imis_hub.delivered(second)

    (older,) = await imis_hub.deliveries_of(first)
    assert (older["State"], older["Code"]) == ("superseded", "superseded")
    assert [one["DESCRIPTION"] for one in await imis_hub.activities()] == ["Mended"]


@pytest.mark.parametrize("after", ["503", "cut-before", "504"])
async def test_withdrawn_while_it_is_not_known_whether_it_arrived(imis_hub: ImisHub, after: str) -> None:
    """With OnWithdraw remove the record is taken back although the last try failed in another way."""
    await imis_hub.set_up(OnWithdraw="remove")
    await imis_hub.fault("cut-after", Method="POST", Path=ACTIVITY, Times=1)
    await imis_hub.fault(after, Method="GET", Path=ACTIVITY)
    event = await imis_hub.publish()
    await eventually(
        lambda: imis_hub.deliveries_of(event),
        until=lambda items: bool(items) and items[0]["State"] == "retrying" and items[0]["Attempts"] >= 2,
    )
    assert len(await imis_hub.activities()) == 1

    assert (await imis_hub.client.delete(event)).status_code == 204
    await imis_hub.mend()

    await eventually(
        lambda: imis_hub.deliveries_of(event),
        until=lambda items: (items[0]["Action"], items[0]["State"]) == ("remove", "delivered"),
    )
    assert await imis_hub.activities() == []


async def test_new_credentials_do_not_disturb_what_is_being_sent(imis_hub: ImisHub) -> None:
    """A delivery under way when its subscriber is changed gets to its end, in one try."""
    await imis_hub.set_up()
    await imis_hub.put_subscriber(MaxConcurrency=2)
    await imis_hub.fault("hold", Method="POST", Path=ACTIVITY, Times=1)
    first = await imis_hub.publish()
    await eventually(imis_hub.activities)

    await imis_hub.put_subscriber(MaxConcurrency=3)
    second = await imis_hub.publish(PublisherEventId="AI:2")
    await imis_hub.delivered(second)
    await imis_hub.mend()

    assert (await imis_hub.delivered(first))["Attempts"] == 1


async def test_reopened_taken_back_and_completed_again(imis_hub: ImisHub) -> None:
    """A completion that was taken back by a reopening stands again once it is completed anew."""
    await imis_hub.set_up(OnReopened="remove")
    await imis_hub.delivered(await imis_hub.publish())
    reopened = await imis_hub.publish(EventType="AI_REOPENED")
    await imis_hub.delivered(reopened)
    assert await imis_hub.activities() == []

    again = await imis_hub.publish(EventEndUtc="2026-11-21T10:00:00Z")

    await imis_hub.delivered(again)
    assert len(await imis_hub.activities()) == 1


async def _sending(imis_hub: ImisHub, event: str) -> dict[str, object]:
    return await imis_hub.settled(event, "sending")


async def test_an_event_that_was_delivered_and_withdrawn_is_not_said_to_be_unsent(imis_hub: ImisHub) -> None:
    """Tried again it is skipped, and the sentence is true whether or not it was ever sent."""
    await imis_hub.set_up()
    event = await imis_hub.publish()
    await imis_hub.delivered(event)
    assert (await imis_hub.client.delete(event)).status_code in (200, 204)
    trial = await imis_hub.client.post("/subscriptions/completions/test", json={"EventId": event.rpartition("/")[2]})
    assert "The publisher has withdrawn the event." in trial.text
    assert "before it was sent" not in trial.text


async def test_a_removal_of_one_event_does_not_overtake_another_that_still_stands(imis_hub: ImisHub) -> None:
    """Started arrived and was taken back; completed, parked all the while, makes the record anew once it is fixed."""
    types = ["AI_STARTED", "AI_COMP_SUCCESS"]
    await imis_hub.set_up(OnWithdraw="remove", EventTypes=types, Templates={"_default": TEMPLATE, "Bad": UNREADABLE})
    started = await imis_hub.publish(EventType="AI_STARTED")
    await imis_hub.settled(started, "delivered")
    completed = await imis_hub.publish(EventType="AI_COMP_SUCCESS", PublisherEventCategory={"value": "Bad"})
    parked = await imis_hub.settled(completed, "parked")
    assert (await imis_hub.client.delete(started)).status_code == 204
    await eventually(imis_hub.activities, until=lambda found: found == [])

    await imis_hub.put_subscription(OnWithdraw="remove", EventTypes=types, Templates={"_default": TEMPLATE})
    await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")

    await imis_hub.settled(completed, "delivered")
    assert len(await imis_hub.activities()) == 1
