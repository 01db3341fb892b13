"""Reopened where that takes back: what was sent is removed, what was not is not sent."""

from __future__ import annotations

import asyncio

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace

from learning_hub.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, retry_seconds=(0.3,) * 50, settle_seconds=0.3)


async def test_reopened_while_it_is_tried_again(imis_hub: ImisHub) -> None:
    """A completion that failed so far is not sent after its reopening, and can be sent anew when completed again."""
    await imis_hub.set_up(OnReopened="remove")
    await imis_hub.fault("503", Method="POST", Path="/api/Activity")
    completed = await imis_hub.publish()
    await imis_hub.settled(completed, "retrying")

    await imis_hub.publish(EventType="AI_REOPENED")
    skipped = await imis_hub.settled(completed, "skipped")
    await imis_hub.mend()
    await asyncio.sleep(0.6)

    assert (skipped["Code"], await imis_hub.activities()) == ("reopened", [])
    await imis_hub.delivered(await imis_hub.publish(PublisherEventData={"Activity Code": "X", "Activity Title": "Y"}))
    assert [one["DESCRIPTION"] for one in await imis_hub.activities()] == ["Y"]


async def test_reopened_before_a_run(imis_hub: ImisHub) -> None:
    """A completion that waits for a run is not sent by one after its reopening."""
    await imis_hub.set_up(OnReopened="remove", Schedule="manual")
    completed = await imis_hub.publish()
    await imis_hub.publish(EventType="LPI_REOPENED")

    run = await imis_hub.client.post("/subscriptions/completions/run")

    assert run.status_code == 200
    assert (await imis_hub.settled(completed, "skipped"))["Code"] == "reopened"
    assert await imis_hub.activities() == []


async def test_reopening_means_nothing_where_it_is_ignored(imis_hub: ImisHub) -> None:
    """By default a completion is sent and stays, whatever is reopened."""
    await imis_hub.set_up(Schedule="manual")
    completed = await imis_hub.publish()
    await imis_hub.publish(EventType="AI_REOPENED")

    await imis_hub.client.post("/subscriptions/completions/run")

    await imis_hub.delivered(completed)
    assert len(await imis_hub.activities()) == 1


async def test_a_reopening_that_is_withdrawn_means_nothing(imis_hub: ImisHub) -> None:
    """What was not taken back yet stays, and what was not sent because of it can be sent again."""
    await imis_hub.set_up(OnReopened="remove")
    sent = await imis_hub.publish()
    await imis_hub.delivered(sent)
    await imis_hub.put_subscription(OnReopened="remove", State="stopped")
    unsent = await imis_hub.publish(PublisherEventId="AI:2")
    reopenings = [
        await imis_hub.publish(EventType="AI_REOPENED", PublisherEventId=source) for source in ("AI:1234", "AI:2")
    ]
    skipped = await imis_hub.settled(unsent, "skipped")

    for reopening in reopenings:
        assert (await imis_hub.client.delete(reopening)).status_code == 204
    removal = await imis_hub.settled(reopenings[0], "skipped")
    await imis_hub.put_subscription(OnReopened="remove", State="started")
    assert (await imis_hub.client.post(f"/deliveries/{skipped['DeliveryId']}/requeue")).status_code == 200

    await imis_hub.delivered(unsent)
    assert (removal["Action"], removal["Code"], skipped["Code"]) == ("remove", "withdrawn", "reopened")
    assert len(await imis_hub.activities()) == 2
