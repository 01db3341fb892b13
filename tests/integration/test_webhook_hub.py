"""From a published event to a webhook's receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import standardwebhooks
from dirty_equals import IsPartialDict
from http_server import Fault, Received, Receiver, Says, running
from hub_calls import HubCalls
from msgspec.structs import replace
from running import RunningHub, eventually

from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.settings import Settings

TEMPLATE = {
    "Source": "{{ event.PublisherEventId }}",
    "Type": "{{ event.EventType }}",
    "Revision": "{{ event.Revision }}",
    "Units": "{{ data['Credits'] | default: nil }}",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Retries and probes that a test can wait for."""
    return replace(settings, retry_seconds=(0.2,) * 8, settle_seconds=0.3, probe_seconds=0.2, send_timeout_seconds=15)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    async with running(server):
        yield server


class WebhookHub(HubCalls):
    """A hub and the receiver it posts to."""

    def __init__(self, hub: RunningHub, receiver: Receiver) -> None:
        super().__init__(hub)
        self.receiver = receiver
        self.secret = ""

    async def set_up(self, **changes: Any) -> None:
        """A Program, the receiver as the subscriber `hook`, and the subscription `posts`."""
        await self.hub.make_program("NURSES")
        self.secret = (await self.put_subscriber())["SigningSecret"]
        await self.put_subscription(**changes)

    async def put_subscriber(self, **changes: Any) -> dict[str, Any]:
        body = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": f"{self.receiver.address}/hook"}}
        return await self.put("/subscribers/hook", {**body, **changes})

    async def put_subscription(self, **changes: Any) -> None:
        body = {
            "Name": "Posts",
            "SubscriberId": "hook",
            "ProgramId": "NURSES",
            "EventTypes": ["AI_STARTED", "AI_COMP_SUCCESS"],
            "Target": {"Kind": "post"},
            "Templates": {"_default": TEMPLATE},
        }
        await self.put("/subscriptions/posts", {**body, **changes})

    def verify(self, *secrets: str) -> None:
        """Every request so far is signed with each of the secrets."""
        for request in self.receiver.received:
            for secret in secrets or (self.secret,):
                standardwebhooks.Webhook(secret).verify(request.body, request.headers)


@pytest.fixture
def webhook_hub(hub: RunningHub, receiver: Receiver) -> WebhookHub:
    return WebhookHub(hub, receiver)


async def test_a_committed_event_is_posted(webhook_hub: WebhookHub) -> None:
    """The receiver gets the payload, signed, with the id of the delivery; nobody is looked up."""
    await webhook_hub.set_up()
    location = await webhook_hub.publish(PublisherParticipantId="nobody-anywhere", PublisherEventData={"Credits": 1.5})
    delivery = await webhook_hub.delivered(location)

    (got,) = webhook_hub.receiver.taken
    assert got.body == b'{"Source":"AI:1234","Type":"AI_COMP_SUCCESS","Revision":1,"Units":1.5}'
    assert got.headers["webhook-id"] == delivery["DeliveryId"]
    assert delivery == IsPartialDict(State="delivered", Attempts=1, SubscriberRecordId=None, ConfirmedUtc=None)
    webhook_hub.verify()
    (attempt,) = await webhook_hub.attempts(delivery)
    assert attempt["Request"] == IsPartialDict(Method="POST", Body=got.body.decode())
    assert attempt["Response"]["Status"] == 204


async def test_every_try_has_the_same_id(webhook_hub: WebhookHub) -> None:
    """A delivery that fails twice is posted three times, each time signed, with one webhook-id."""
    await webhook_hub.set_up()
    webhook_hub.receiver.answer(500)
    webhook_hub.receiver.answer(500)
    delivery = await webhook_hub.delivered(await webhook_hub.publish())

    assert [one.headers["webhook-id"] for one in webhook_hub.receiver.received] == [delivery["DeliveryId"]] * 3
    assert len(webhook_hub.receiver.taken) == 1
    webhook_hub.verify()


async def test_an_answer_that_is_lost_is_asked_for_by_sending_again(webhook_hub: WebhookHub) -> None:
    """What was taken and not acknowledged arrives once more, with the same id, and is delivered then."""
    await webhook_hub.set_up()
    webhook_hub.receiver.fail(Fault(carried_out=True))
    delivery = await webhook_hub.delivered(await webhook_hub.publish())

    assert [one.headers["webhook-id"] for one in webhook_hub.receiver.taken] == [delivery["DeliveryId"]] * 2


async def test_events_of_a_record_are_posted_in_order(hub: RunningHub) -> None:
    """Those of one source record follow each other, one at a time, while other records go out beside them."""
    under_way: list[str] = []
    overlaps: set[frozenset[str]] = set()

    async def be_slow(request: Received) -> Says:
        source = request.value["Source"]
        assert source not in under_way
        overlaps.update(frozenset({source, other}) for other in under_way)
        under_way.append(source)
        await asyncio.sleep(0.2)
        under_way.remove(source)
        return Says(204)

    receiver = Receiver(be_slow)
    async with running(receiver):
        webhook_hub = WebhookHub(hub, receiver)
        await webhook_hub.set_up(State="stopped")
        events = [
            await webhook_hub.publish(PublisherEventId=source, EventType=event_type)
            for event_type in ("AI_STARTED", "AI_COMP_SUCCESS")
            for source in ("AI:1", "AI:2", "AI:3")
        ]
        await webhook_hub.put_subscription(State="started")
        for event in events:
            await webhook_hub.delivered(event)

    assert len(receiver.taken) == 6
    for source in ("AI:1", "AI:2", "AI:3"):
        mine = [one.value["Type"] for one in receiver.taken if one.value["Source"] == source]
        assert mine == ["AI_STARTED", "AI_COMP_SUCCESS"]
    assert overlaps


async def test_a_new_secret_signs_beside_the_old_one(webhook_hub: WebhookHub) -> None:
    """After a PUT with a new secret receivers with either verify what comes."""
    await webhook_hub.set_up()
    new = make_secret()
    await webhook_hub.put_subscriber(Credentials={"SigningSecret": new})
    await webhook_hub.delivered(await webhook_hub.publish())

    webhook_hub.verify(webhook_hub.secret, new)
    (got,) = webhook_hub.receiver.taken
    assert len(got.headers["webhook-signature"].split(" ")) == 2


async def test_gone_stops_the_subscription(webhook_hub: WebhookHub) -> None:
    """After 410 nothing more is posted until somebody starts it again; then everything goes out."""
    await webhook_hub.set_up()
    webhook_hub.receiver.answer(410, b"Moved out.")
    first = await webhook_hub.publish()
    parked = await webhook_hub.settled(first, "parked")

    async def state() -> str:
        return str((await webhook_hub.client.get("/subscriptions/posts")).json()["State"])

    assert (parked["Code"], parked["Class"], "Moved out." in parked["Message"]) == ("gone", "refused", True)
    await eventually(state, until=lambda found: found == "stopped")
    second = await webhook_hub.publish(PublisherEventId="AI:2")
    await webhook_hub.settled(second, "waiting")
    await asyncio.sleep(1)
    assert len(webhook_hub.receiver.received) == 1

    await webhook_hub.put_subscription(State="started")
    await webhook_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")
    for event in (first, second):
        await webhook_hub.delivered(event)
    assert len(webhook_hub.receiver.taken) == 2


async def test_a_withdrawal_is_posted_where_asked(webhook_hub: WebhookHub) -> None:
    """With OnWithdraw remove the payload is posted once more, as a removal, with an id of its own."""
    await webhook_hub.set_up(OnWithdraw="remove")
    event = await webhook_hub.publish()
    await webhook_hub.delivered(event)
    assert (await webhook_hub.client.delete(event)).status_code == 204
    await eventually(
        lambda: webhook_hub.deliveries_of(event),
        until=lambda items: (items[0]["Action"], items[0]["State"]) == ("remove", "delivered"),
    )

    sent, removed = webhook_hub.receiver.taken
    assert [one.headers["learning-hub-action"] for one in (sent, removed)] == ["send", "remove"]
    assert sent.body == removed.body
    assert sent.headers["webhook-id"] != removed.headers["webhook-id"]
    webhook_hub.verify()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_receiver_that_refuses_the_token_gets_it_all_afterwards(webhook_hub: WebhookHub, status: int) -> None:
    """Nothing more is posted, and a group says so at once; with a new Token everything goes out by itself."""
    await webhook_hub.set_up()
    webhook_hub.receiver.standing = Fault(says=Says(status))
    events = [await webhook_hub.publish(PublisherEventId=f"AI:{number}") for number in range(5)]

    async def pause() -> Any:
        return (await webhook_hub.client.get("/subscribers/hook")).json()["Paused"]

    assert (await eventually(pause))["Code"] == "credentials_refused"
    await asyncio.sleep(1)
    asked = len(webhook_hub.receiver.received)
    (group,) = (await webhook_hub.client.get("/deliveries/groups")).json()["Items"]
    assert (group["Kind"], group["Code"], group["Count"]) == ("pause", "credentials_refused", 5)
    webhook_hub.receiver.standing = None
    await webhook_hub.put_subscriber(Credentials={"Token": "t0ken"})
    for event in events:
        await webhook_hub.delivered(event)

    assert asked <= 5
    assert {one.headers["authorization"] for one in webhook_hub.receiver.taken} == {"Bearer t0ken"}
    assert sorted(one.value["Source"] for one in webhook_hub.receiver.taken) == [f"AI:{number}" for number in range(5)]


async def test_a_receiver_that_was_away_gets_everything(webhook_hub: WebhookHub) -> None:
    """While nobody listens no tries are used up; once it is back each event is taken, none is left."""
    await webhook_hub.set_up()
    port = webhook_hub.receiver.port
    await webhook_hub.receiver.stop()
    events = [await webhook_hub.publish(PublisherEventId=f"AI:{number}") for number in range(10)]
    await asyncio.sleep(2)
    await webhook_hub.receiver.start(port)
    for event in events:
        await webhook_hub.delivered(event)

    assert sorted({one.value["Source"] for one in webhook_hub.receiver.taken}) == [f"AI:{n}" for n in range(10)]


async def test_one_event_sent_for_real(webhook_hub: WebhookHub) -> None:
    """A test posts at once and shows the attempt, without the token; a preview posts nothing."""
    await webhook_hub.set_up(State="stopped")
    await webhook_hub.put_subscriber(Credentials={"Token": "t0ken"})
    body = {"EventId": (await webhook_hub.publish()).removeprefix("/events/")}
    preview = await webhook_hub.client.post("/subscriptions/posts/preview", json=body)
    assert preview.json()["Payload"] == IsPartialDict(Source="AI:1234")
    assert webhook_hub.receiver.received == []

    tried = await webhook_hub.client.post("/subscriptions/posts/test", json=body)

    assert tried.status_code == 200
    assert tried.json()["Response"]["Status"] == 204
    assert tried.json()["Request"]["Headers"]["Authorization"] == "***"
    assert "t0ken" not in tried.text
    assert len(webhook_hub.receiver.taken) == 1
