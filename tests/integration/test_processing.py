"""POST /processEvents and runs: which events, for whom, and what is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from factories import an_event_body
from imis_hub import TEMPLATE, ImisHub
from running import eventually

from learning_hub.model.clock import now
from learning_hub.model.event import example_event_id

pytestmark = pytest.mark.usefixtures("one_day")
BROKEN = {"ActivityType": "{{ data.x }}"}
WAITING_FOR_LOCKS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
COUNTS = ("Delivered", "Unchanged", "Waiting", "Retrying", "Parked", "Skipped", "Superseded", "Discarded")


def bucket() -> str:
    return f"NURSES-LB-{now():%Y%m%d}"


def adds_up(result: dict[str, Any]) -> bool:
    return bool(sum(result[name] for name in COUNTS) == result["Matched"])


async def test_a_bucket_is_processed_once(imis_hub: ImisHub) -> None:
    """Processing a bucket sends its events; doing it again sends nothing twice."""
    await imis_hub.set_up(Schedule="manual")
    for number in range(3):
        await imis_hub.publish(PublisherEventId=f"AI:{number}")
    first = await imis_hub.process(EventDateBucket=bucket())
    second = await imis_hub.process(EventDateBucket=bucket())
    assert (first["Matched"], first["Delivered"], first["Unchanged"]) == (3, 3, 0)
    assert (second["Matched"], second["Delivered"], second["Unchanged"]) == (3, 0, 3)
    assert adds_up(first)
    assert adds_up(second)
    assert len(await imis_hub.activities()) == 3


async def test_counts_tell_what_became_of_each(imis_hub: ImisHub) -> None:
    """Each matched event is counted once, by what became of it."""
    await imis_hub.set_up(Schedule="manual", Templates={"_default": TEMPLATE, "External Training": None})
    await imis_hub.publish(PublisherEventId="1")
    await imis_hub.publish(PublisherEventId="2", PublisherParticipantId="nobody@example.org")
    await imis_hub.publish(PublisherEventId="3", PublisherEventCategory={"value": "External Training"})
    await imis_hub.publish(PublisherEventId="4")
    await imis_hub.publish(PublisherEventId="4", PublisherEventData={"Activity Code": "B", "Activity Title": "B"})
    await imis_hub.publish(PublisherEventId="5", EventType="AI_STARTED")
    result = await imis_hub.process(EventDateBucket=bucket())
    assert {name: result[name] for name in ("Matched", "Delivered", "Parked", "Skipped", "Superseded")} == {
        "Matched": 5, "Delivered": 2, "Parked": 1, "Skipped": 1, "Superseded": 1,
    }  # fmt: skip
    assert adds_up(result)


async def test_a_program_alone_means_what_is_not_settled(imis_hub: ImisHub) -> None:
    """With only a Program, in the address and without a body, everything since each place goes out."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    answer = await imis_hub.client.post("/api/processEvents?programId=NURSES")
    assert (answer.status_code, answer.json()["Delivered"]) == (200, 1)
    again = await imis_hub.client.post("/processEvents?ProgramId=NURSES")
    assert again.json()["Matched"] == 0


async def test_named_events_alone(imis_hub: ImisHub) -> None:
    """Of the events only those named are sent."""
    await imis_hub.set_up(Schedule="manual")
    one = await imis_hub.publish(PublisherEventId="1")
    await imis_hub.publish(PublisherEventId="2")
    result = await imis_hub.process(EventIds=[one.removeprefix("/events/")])
    assert (result["Matched"], result["Delivered"]) == (1, 1)
    assert len(await imis_hub.activities()) == 1


async def test_a_stopped_subscription_sends_only_when_named(imis_hub: ImisHub) -> None:
    """Events of a stopped subscription wait; a run that names it sends them, one that does not leaves them."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    waiting = await imis_hub.settled(location, "waiting")
    assert waiting["NextTryUtc"] is None
    unnamed = await imis_hub.process(EventDateBucket=bucket())
    assert (unnamed["Matched"], unnamed["Waiting"]) == (1, 1)
    named = await imis_hub.process(EventDateBucket=bucket(), SubscriptionId="completions")
    assert (named["Matched"], named["Delivered"]) == (1, 1)


async def test_a_stopped_subscription_holds_what_was_failing(imis_hub: ImisHub) -> None:
    """What was to be tried again waits once the subscription is stopped; a run that names it sends it all the same."""
    await imis_hub.set_up()
    await imis_hub.fault("503", Method="POST", Path="/api/Activity")
    event = await imis_hub.publish()
    await imis_hub.settled(event, "retrying")
    await imis_hub.put_subscription(State="stopped")
    await imis_hub.mend()
    held = await imis_hub.settled(event, "waiting", seconds=30)

    result = await imis_hub.process(SubscriptionId="completions")

    assert (held["NextTryUtc"], held["Code"], held["Advice"]) == (None, None, None)
    assert result["Delivered"] == 1


async def test_stopping_holds_what_fails_at_that_moment(imis_hub: ImisHub) -> None:
    """However many tries are failing when a subscription is stopped, all of them wait then, and none is sent."""
    await imis_hub.set_up()
    await imis_hub.put_subscriber(MaxConcurrency=16)
    await imis_hub.fault("503", Method="POST", Path="/api/Activity")
    events = [an_event_body(PublisherEventId=str(number)) for number in range(60)]
    results = (await imis_hub.client.post("/events/batch", json=events)).json()["Results"]
    for stop in ("stopped", "started", "stopped", "started", "stopped"):
        await imis_hub.put_subscription(State=stop)
        await asyncio.sleep(0.1)

    async def states() -> set[str]:
        return {item["State"] for result in results for item in await imis_hub.deliveries_of(result["Location"])}

    await eventually(states, until=lambda found: found == {"waiting"})
    await imis_hub.mend()
    await asyncio.sleep(1)
    assert (await states(), await imis_hub.activities()) == ({"waiting"}, [])


async def test_a_run_does_not_wait_for_what_stands_behind_a_failure(imis_hub: ImisHub) -> None:
    """A run ends though one of its deliveries waits behind an earlier one that is tried again much later."""
    await imis_hub.set_up(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"])
    await imis_hub.fault("500", Method="POST", Path="/api/Activity", Times=1)
    started = await imis_hub.publish(EventType="AI_STARTED")
    await imis_hub.settled(started, "retrying")
    completed = await imis_hub.publish(EventType="AI_COMP_SUCCESS")

    result = await imis_hub.process(EventIds=[event.removeprefix("/events/") for event in (started, completed)])

    assert (result["Retrying"], result["Waiting"], result["Matched"]) == (1, 1, 2)


async def test_a_template_added_later_serves_what_was_skipped(imis_hub: ImisHub) -> None:
    """Processing an event again picks its template anew: what was skipped for want of one is sent, as foretold."""
    await imis_hub.set_up(Templates={"ILT": TEMPLATE})
    event = await imis_hub.publish()
    await imis_hub.settled(event, "skipped")
    await imis_hub.put_subscription(Templates={"_default": TEMPLATE})
    named: dict[str, Any] = {"EventIds": [event.removeprefix("/events/")]}

    foretold = await imis_hub.process(**named, DryRun=True)
    done = await imis_hub.process(**named)

    assert (foretold["Waiting"], foretold["Skipped"]) == (1, 0)
    assert (done["Delivered"], done["Skipped"]) == (1, 0)


async def test_a_dry_run_counts_what_a_run_would_leave(imis_hub: ImisHub) -> None:
    """Delivered, parked, discarded and overtaken ones are counted by a dry run as by a run."""
    await imis_hub.set_up(Schedule="manual", Templates={"_default": TEMPLATE | {"Units": "{{ data.n | decimal }}"}})
    events = [
        await imis_hub.publish(PublisherEventId=number, PublisherEventData={"n": value, "Activity Code": "A"})
        for number, value in (("1", "x"), ("2", 2), ("3", 3), ("3", 4))
    ]
    ids = [event.removeprefix("/events/") for event in events]
    await imis_hub.process(EventIds=ids[:2], SubscriptionId="completions")
    (third,) = await eventually(lambda: imis_hub.deliveries_of(events[3]), until=bool)
    await imis_hub.client.post(f"/deliveries/{third['DeliveryId']}/discard", json={"Reason": "By hand."})

    foretold = await imis_hub.process(EventIds=ids, DryRun=True)
    done = await imis_hub.process(EventIds=ids)

    counted = ("Matched", "Unchanged", "Parked", "Discarded", "Superseded", "Waiting", "Delivered")
    assert {name: foretold[name] for name in counted} == {name: done[name] for name in counted}
    run = (await imis_hub.client.get(f"/runs/{foretold['RunId']}")).json()
    assert (run["State"], run["Counts"]["Matched"], run["Request"]["DryRun"]) == ("finished", 4, True)


async def test_a_dry_run_takes_up_again_what_a_run_would(imis_hub: ImisHub) -> None:
    """
    A run sends what archiving discarded and what a reopening skipped that is withdrawn now, and a dry run says so.

    What is still reopened stays skipped in both.
    """
    await imis_hub.set_up(OnReopened="remove", State="stopped")
    events = [await imis_hub.publish(PublisherEventId="archived")]
    await imis_hub.settled(events[0], "waiting")
    await imis_hub.client.delete("/subscriptions/completions")
    await imis_hub.settled(events[0], "discarded")
    await imis_hub.put_subscription(OnReopened="remove", State="stopped")
    events += [await imis_hub.publish(PublisherEventId=source) for source in ("withdrawn", "reopened")]
    reopening = await imis_hub.publish(EventType="AI_REOPENED", PublisherEventId="withdrawn")
    await imis_hub.publish(EventType="AI_REOPENED", PublisherEventId="reopened")
    assert [(await imis_hub.settled(event, "skipped"))["Code"] for event in events[1:]] == ["reopened", "reopened"]
    await imis_hub.client.delete(reopening)
    named: dict[str, Any] = {
        "EventIds": [event.removeprefix("/events/") for event in events], "SubscriptionId": "completions",
    }  # fmt: skip

    foretold = await imis_hub.process(**named, DryRun=True)
    done = await imis_hub.process(**named)

    assert (foretold["Waiting"], foretold["Skipped"], foretold["Discarded"]) == (2, 1, 0)
    assert (done["Delivered"], done["Skipped"], done["Discarded"]) == (2, 1, 0)


async def test_starting_sends_what_waited(imis_hub: ImisHub) -> None:
    """What a stopped subscription held goes out by itself once it is started."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    await imis_hub.settled(location, "waiting")
    await imis_hub.put_subscription(State="started")
    await imis_hub.delivered(location)


async def test_a_replay_is_a_new_delivery(imis_hub: ImisHub) -> None:
    """Replay sends again what was delivered, as a delivery with its own id, onto the same record."""
    await imis_hub.set_up()
    location = await imis_hub.publish()
    first = await imis_hub.delivered(location)
    result = await imis_hub.process(EventDateBucket=bucket(), Replay=True)
    assert (result["Matched"], result["Delivered"]) == (1, 1)
    found = await imis_hub.deliveries_of(location)
    assert len(found) == 2
    assert found[0]["DeliveryId"] != first["DeliveryId"]
    assert len(await imis_hub.activities()) == 1


async def test_a_dry_run_sends_and_stores_nothing(imis_hub: ImisHub) -> None:
    """A dry run renders and says what would be sent; nothing is stored and iMIS is not asked."""
    await imis_hub.set_up(Schedule="manual", Templates={"_default": TEMPLATE, "Broken": BROKEN})
    await imis_hub.publish(PublisherEventId="1")
    await imis_hub.publish(PublisherEventId="2", PublisherEventCategory={"value": "Broken"})
    result = await imis_hub.process(EventDateBucket=bucket(), DryRun=True)
    assert (result["Matched"], result["Waiting"], result["Parked"]) == (2, 1, 1)
    assert adds_up(result)
    payloads = [preview["Payload"] for preview in result["Previews"]]
    assert payloads[0]["ActivityType"] == "TCLEARNING"
    assert result["Previews"][1]["Error"]["Place"] == "Broken.ActivityType"
    assert await imis_hub.activities() == []


async def test_not_waiting_answers_where_to_look(imis_hub: ImisHub) -> None:
    """With Wait false the answer is 202 and the run's address, where its counts are in the end."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    answer = await imis_hub.client.post("/processEvents", json={"EventDateBucket": bucket(), "Wait": False})
    assert (answer.status_code, answer.content) == (202, b"")

    async def run() -> dict[str, Any]:
        return dict((await imis_hub.client.get(answer.headers["Location"])).json())

    finished = await eventually(run, until=lambda found: found["State"] == "finished")
    assert finished["Counts"]["Delivered"] == 1
    assert finished["FinishedUtc"]
    listed = (await imis_hub.client.get("/runs")).json()["Items"]
    assert [item["RunId"] for item in listed] == [finished["RunId"]]


async def test_not_waiting_does_not_wait_for_a_dry_run(imis_hub: ImisHub) -> None:
    """With Wait false a dry run is answered at once as well, also while it cannot even begin to gather."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    async with imis_hub.hub.database.transaction() as connection:
        await connection.execute("SELECT FROM subscription_checkpoint FOR UPDATE")
        body = {"ProgramId": "NURSES", "DryRun": True, "Wait": False}
        answer = await asyncio.wait_for(imis_hub.client.post("/processEvents", json=body), 5)
        assert (answer.status_code, answer.content) == (202, b"")
        running = (await imis_hub.client.get(answer.headers["Location"])).json()
        assert running["State"] == "running"

    async def run() -> dict[str, Any]:
        return dict((await imis_hub.client.get(answer.headers["Location"])).json())

    finished = await eventually(run, until=lambda found: found["State"] == "finished")
    assert (finished["Counts"]["Matched"], finished["Counts"]["Waiting"]) == (1, 1)


async def test_a_run_goes_on_without_who_asked_for_it(imis_hub: ImisHub) -> None:
    """Whoever hangs up while a run is under way leaves it to its end."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    async with imis_hub.hub.database.transaction() as connection:
        await connection.execute("SELECT FROM subscription_checkpoint FOR UPDATE")
        with pytest.raises(httpx.ReadTimeout):
            await imis_hub.client.post("/processEvents", json={"ProgramId": "NURSES"}, timeout=1)

    async def states() -> list[tuple[str, int]]:
        items = (await imis_hub.client.get("/runs")).json()["Items"]
        return [(run["State"], run["Counts"]["Delivered"]) for run in items]

    await eventually(states, until=lambda found: found == [("finished", 1)])


async def test_run_once_sends_what_waits(imis_hub: ImisHub) -> None:
    """Run once sends everything since the subscription's place and what waits, even when it is stopped."""
    await imis_hub.set_up(State="stopped")
    await imis_hub.publish()
    answer = await imis_hub.client.post("/subscriptions/completions/run")
    assert (answer.status_code, answer.json()["Delivered"]) == (200, 1)


async def test_an_empty_bucket(imis_hub: ImisHub) -> None:
    """A bucket without events matches nothing, and that is no error."""
    await imis_hub.set_up()
    result = await imis_hub.process(EventDateBucket="NURSES-LB-20200101")
    assert result["Matched"] == 0


async def test_what_cannot_be_processed(imis_hub: ImisHub) -> None:
    """Nothing named, unknown or contradictory names are 400 with the field; another's Program is 403."""
    await imis_hub.set_up()
    client = imis_hub.client
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "EventDateBucket"),
        ({"EventDateBucket": "NURSES-20261122"}, "EventDateBucket"),
        ({"EventDateBucket": "NURSES-LB-20261322"}, "EventDateBucket"),
        ({"EventIds": ["x"]}, "EventIds[0]"),
        ({"EventIds": []}, "EventIds"),
        ({"ProgramId": "NOPE"}, "ProgramId"),
        ({"SubscriptionId": "nope"}, "SubscriptionId"),
        ({"EventDateBucket": bucket(), "ProgramId": "OTHER"}, "ProgramId"),
        ({"EventDateBucket": bucket(), "Wait": "no"}, "Wait"),
        ({"Bucket": bucket()}, "Bucket"),
    ]
    for body, field in bad:
        answer = await client.post("/processEvents", json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert field in [error["field"] for error in answer.json()["errors"]], (body, answer.text)
    unknown = "E:NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"
    several: list[tuple[dict[str, Any], list[str]]] = [
        (
            {"EventDateBucket": "x", "EventIds": ["x", 5], "SubscriptionId": "nope", "Wait": "no", "Colour": 1},
            ["Colour", "EventDateBucket", "EventIds[1]", "SubscriptionId", "Wait"],
        ),
        (
            {"EventDateBucket": "x", "EventIds": ["x"], "ProgramId": "NOPE"},
            ["EventDateBucket", "EventIds[0]", "ProgramId"],
        ),
        ({"EventIds": [unknown], "DryRun": 1}, ["DryRun", "EventIds[0]"]),
        ({"Replay": True, "SubscriptionId": "nope"}, ["Replay", "SubscriptionId"]),
    ]
    for body, fields in several:
        answer = await client.post("/processEvents", json=body)
        assert sorted(error["field"] for error in answer.json()["errors"]) == fields, body
    other = await imis_hub.hub.caller("process", programs=["NURSES"])
    assert (await other.post("/processEvents", json={"ProgramId": "DOCTORS"})).status_code == 403
    reader = await imis_hub.hub.caller("read", programs=["NURSES"])
    assert (await reader.post("/processEvents", content=b"{")).status_code == 403


async def test_start_from_beginning_and_now(imis_hub: ImisHub) -> None:
    """StartFrom now leaves out what was committed before; beginning takes everything."""
    await imis_hub.hub.make_program("NURSES")
    await imis_hub.put_subscriber()
    location = await imis_hub.publish(PublisherEventId="before")
    await imis_hub.put_subscription()
    await imis_hub.put_subscription("all", StartFrom="beginning")
    after = await imis_hub.publish(PublisherEventId="after")
    await eventually(
        lambda: imis_hub.deliveries_of(after),
        until=lambda items: [item["State"] for item in items] == ["delivered"] * 2,
    )
    assert [item["SubscriptionId"] for item in await imis_hub.deliveries_of(location)] == ["all"]


async def test_sending_one_for_real(imis_hub: ImisHub) -> None:
    """A test sends one event now, stopped or not, delivered before or not, and answers with the attempt."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    body = {"EventId": location.removeprefix("/events/")}
    first = await imis_hub.client.post("/subscriptions/completions/test", json=body)
    second = await imis_hub.client.post("/subscriptions/completions/test", json=body)
    assert (first.status_code, first.json()["Response"]["Status"]) == (200, 201)
    assert second.json()["Delivery"]["State"] == "delivered"
    assert len(await imis_hub.activities()) == 1


async def test_a_test_tells_what_is_wrong(imis_hub: ImisHub) -> None:
    """A test of an event that cannot be delivered answers with the failed attempt, again and again."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish(PublisherParticipantId="nobody@example.org")
    body = {"EventId": location.removeprefix("/events/")}
    for number in (1, 2):
        answer = await imis_hub.client.post("/subscriptions/completions/test", json=body)
        assert (answer.status_code, answer.json()["Code"]) == (200, "participant_not_found")
        assert answer.json()["Number"] == number
    started = await imis_hub.publish(EventType="AI_STARTED")
    refused = await imis_hub.client.post(
        "/subscriptions/completions/test", json={"EventId": started.removeprefix("/events/")}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "event_not_wanted")


async def test_a_requeue_waits_for_a_locked_delivery(imis_hub: ImisHub) -> None:
    """A test send and a requeue put back a delivery that the enqueuer has locked, once it is done with it."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish(PublisherParticipantId="nobody@example.org")
    body = {"EventId": location.removeprefix("/events/")}
    delivery_id = (await imis_hub.client.post("/subscriptions/completions/test", json=body)).json()["Delivery"][
        "DeliveryId"
    ]

    async def post_while_locked(path: str, **content: Any) -> httpx.Response:
        async with imis_hub.hub.database.transaction() as connection:
            # As the enqueuer does when it inserts a delivery that exists already.
            await connection.execute("SELECT FROM delivery FOR UPDATE")
            posted = asyncio.create_task(imis_hub.client.post(path, **content))

            async def is_waiting() -> bool:
                return posted.done() or bool(await connection.fetchval(WAITING_FOR_LOCKS))

            await eventually(is_waiting)
        return await posted

    test = await post_while_locked("/subscriptions/completions/test", json=body)
    requeued = await post_while_locked(f"/deliveries/{delivery_id}/requeue")

    assert (test.status_code, test.json()["Number"]) == (200, 2)
    assert (requeued.status_code, requeued.json()["State"]) == (200, "waiting")


async def test_the_audit_log_has_each_requeue(imis_hub: ImisHub) -> None:
    """A requeue by a test send is in the audit log as a summary, that of a single delivery with the whole delivery."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish(PublisherParticipantId="nobody@example.org")
    body = {"EventId": location.removeprefix("/events/")}
    for _ in range(2):
        tested = await imis_hub.client.post("/subscriptions/completions/test", json=body)
    parked = tested.json()["Delivery"]
    assert (await imis_hub.client.post(f"/deliveries/{parked['DeliveryId']}/requeue")).status_code == 200

    single, test = (await imis_hub.client.get("/audit", params={"ObjectType": "delivery"})).json()["Items"]

    assert {(one["Action"], one["ObjectId"]) for one in (single, test)} == {("requeue", parked["DeliveryId"])}
    assert (single["Before"]["Message"], single["After"]["State"]) == (parked["Message"], "waiting")
    assert (test["Before"], test["After"]) == (
        {"SubscriptionId": "completions", "State": "parked", "Code": "participant_not_found"},
        {"SubscriptionId": "completions", "State": "waiting", "Code": None},
    )


async def test_a_test_tells_why_nothing_was_sent(imis_hub: ImisHub) -> None:
    """A test of an event that is not sent is 409 with a code that /schema explains; an unknown event is 400."""
    templates = {"Online": {"ActivityType": "CALL"}, "Off": None}
    await imis_hub.set_up(Templates=templates, EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"], State="stopped")
    page = (await imis_hub.client.get("/schema")).text

    async def test(event_id: str) -> httpx.Response:
        return await imis_hub.client.post("/subscriptions/completions/test", json={"EventId": event_id})

    async def published(source: str, **changes: Any) -> str:
        return (await imis_hub.publish(PublisherEventId=source, **changes)).removeprefix("/events/")

    withdrawn = await published("withdrawn")
    assert (await imis_hub.client.delete(f"/events/{withdrawn}")).status_code == 204
    older = await published("changed")
    newer = await published("changed", EventStartUtc="2026-11-20T13:00:00Z")
    assert (await test(newer)).status_code == 200
    for event_id, code in {
        await published("off", PublisherEventCategory={"value": "Off"}): "category_off",
        await published("none", PublisherEventCategory={"value": "Other"}): "no_template",
        withdrawn: "withdrawn",
        older: "superseded",
        await published("system", EventType="LPI_STARTED"): "event_not_wanted",
    }.items():
        answer = await test(event_id)
        assert (answer.status_code, answer.json().get("code")) == (409, code), answer.text
        assert f'id="{answer.json()["type"].removeprefix("/schema#")}"' in page, code
    for unknown in ("nonsense", example_event_id(), example_event_id("NOBODY")):
        preview = await imis_hub.client.post("/subscriptions/completions/preview", json={"EventId": unknown})
        answer = await test(unknown)
        assert (answer.status_code, answer.json()["errors"]) == (400, preview.json()["errors"])


async def test_one_overtaken_while_it_waits_is_superseded(imis_hub: ImisHub) -> None:
    """What was put back and then overtaken by a newer one of its record does not go out any more."""
    await imis_hub.set_up(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"], State="stopped")
    started = await imis_hub.publish(EventType="AI_STARTED")
    completed = await imis_hub.publish(EventType="AI_COMP_SUCCESS")
    await imis_hub.settled(completed, "waiting")
    await imis_hub.process(EventIds=[completed.removeprefix("/events/")], SubscriptionId="completions")
    await imis_hub.put_subscription(EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"], State="started")
    assert (await imis_hub.settled(started, "superseded"))["Code"] == "superseded"
    assert len(await imis_hub.activities()) == 1


async def test_a_subscription_made_anew_takes_up_what_was_given_up(imis_hub: ImisHub) -> None:
    """What archiving gave up goes out when the subscription is made again from the beginning."""
    await imis_hub.set_up(State="stopped")
    location = await imis_hub.publish()
    await imis_hub.settled(location, "waiting")
    assert (await imis_hub.client.delete("/subscriptions/completions")).status_code == 204
    assert (await imis_hub.settled(location, "discarded"))["Code"] == "archived"
    await imis_hub.put_subscription(StartFrom="beginning")
    await imis_hub.delivered(location)
    assert len(await imis_hub.activities()) == 1
