"""What DELETE has answered 204 to is not sent, whatever the process stage has read by then."""

from __future__ import annotations

import asyncio

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from running import eventually

from learning_hub.settings import Settings


async def test_withdrawn_while_the_feed_stands_still(imis_hub: ImisHub) -> None:
    """A held delivery is not sent after its withdrawal, though an older transaction hides that from the feed."""
    await imis_hub.set_up(State="stopped")
    event = await imis_hub.publish()
    await imis_hub.settled(event, "waiting")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        assert (await imis_hub.client.delete(event)).status_code == 204

        await imis_hub.put_subscription(State="started")
        skipped = await imis_hub.settled(event, "skipped")

    assert skipped["Code"] == "withdrawn"
    assert await imis_hub.activities() == []


async def test_put_back_while_the_feed_stands_still(imis_hub: ImisHub) -> None:
    """A parked delivery that is put back after its withdrawal is not sent either."""
    await imis_hub.set_up()
    event = await imis_hub.publish(PublisherParticipantId="nobody@example.org")
    parked = await imis_hub.settled(event, "parked")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        assert (await imis_hub.client.delete(event)).status_code == 204

        await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")
        skipped = await imis_hub.settled(event, "skipped")

    assert skipped["Code"] == "withdrawn"


class TestWithAShortMemory:
    """Participants are looked up each time."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, participant_remembered_seconds=0)

    async def test_a_record_is_taken_back_though_its_contact_is_not_found_any_more(self, imis_hub: ImisHub) -> None:
        """What was delivered is removed by its number, whoever the participant is today."""
        await imis_hub.set_up(OnWithdraw="remove")
        event = await imis_hub.publish()
        await imis_hub.delivered(event)
        await imis_hub.put_subscriber(ParticipantLookup={"Query": "$/LearningHub/Nowhere", "Prompt": "Email"})

        assert (await imis_hub.client.delete(event)).status_code == 204
        items = await eventually(lambda: imis_hub.deliveries_of(event), until=lambda found: len(found) == 2)
        removal = await imis_hub.settled(event, "delivered")

        assert (items[0]["Action"], removal["Action"]) == ("remove", "remove")
        assert await imis_hub.activities() == []


async def test_withdrawing_the_beginning_leaves_the_completion(imis_hub: ImisHub) -> None:
    """Started and completed are one record: it stays as long as the completion stands."""
    await imis_hub.set_up(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"], OnWithdraw="remove")
    started = await imis_hub.publish(EventType="AI_STARTED")
    await imis_hub.delivered(started)
    completed = await imis_hub.publish()
    await imis_hub.delivered(completed)

    assert (await imis_hub.client.delete(started)).status_code == 204
    await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:later"))
    assert [one["Action"] for one in await imis_hub.deliveries_of(started)] == ["send"]
    assert (await imis_hub.client.delete(completed)).status_code == 204

    await eventually(imis_hub.activities, until=lambda found: len(found) == 1)


async def test_withdrawn_at_the_moment_of_the_claim(imis_hub: ImisHub) -> None:
    """What a worker is just taking when its withdrawal is read counts as sent, and is taken back."""
    await imis_hub.set_up(OnWithdraw="remove", State="stopped")
    event = await imis_hub.publish()
    await imis_hub.settled(event, "waiting")
    claiming = "UPDATE delivery SET state = state WHERE state = 'waiting'"
    async with imis_hub.hub.database.transaction() as connection:
        # As a claim does: the row is locked, and nobody sees yet what becomes of it.
        await connection.execute(claiming)
        assert (await imis_hub.client.delete(event)).status_code == 204
        await asyncio.sleep(1)
        await connection.execute(
            "UPDATE delivery SET state = 'sending', due_utc = NULL, held = false, attempts = 1,"
            " lease_id = gen_random_uuid(), lease_until_utc = now()"
        )
        await connection.execute(
            "UPDATE delivery SET state = 'delivered', delivered_utc = now(), subscriber_record_id = '1',"
            " lease_id = NULL, lease_until_utc = NULL"
        )
    await imis_hub.put_subscription(OnWithdraw="remove")

    items = await eventually(lambda: imis_hub.deliveries_of(event), until=lambda found: len(found) == 2)

    assert items[0]["Action"] == "remove"
