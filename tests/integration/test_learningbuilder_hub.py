"""From a published event to a line in the import queue of LearningBuilder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from factories import a_subscriber_body, an_event_body
from http_server import Fault, Says, running
from hub_calls import HubCalls
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder
from msgspec.structs import replace
from running import RunningHub, eventually

from learning_hub.settings import Settings

PRESET = {"Preset": "learningbuilder-import", "SubscriberId": "lb", "ProgramId": "NURSES"}
DATA = {":ActivityId": "A1", "Course Name": "Wound care"}
TARGET = {"Kind": "import", "ImportProcessId": PROCESS}


@pytest.fixture
async def site() -> AsyncIterator[LearningBuilder]:
    server = LearningBuilder()
    async with running(server):
        yield server


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Retries and probes that a test can wait for."""
    return replace(settings, retry_seconds=(0.2,) * 8, settle_seconds=0.3, probe_seconds=0.2, send_timeout_seconds=15)


def a_learningbuilder(site: LearningBuilder, api_key: str = API_KEY) -> dict[str, Any]:
    return {
        "Name": "LearningBuilder",
        "Connector": "learningbuilder",
        "Settings": {"BaseUrl": site.address, "SuccessEmail": None, "FailureEmail": "imports@example.org"},
        "Credentials": {"ApiKey": api_key},
    }


async def set_up(hub: RunningHub, site: LearningBuilder, **changes: Any) -> HubCalls:
    """A Program, the LearningBuilder as a subscriber, and the subscription `imports` made of the preset."""
    calls = HubCalls(hub)
    await hub.make_program("NURSES")
    shown = await calls.put("/subscribers/lb", a_learningbuilder(site))
    assert shown["CredentialFields"] == ["ApiKey"]
    assert API_KEY not in str(shown)
    await calls.put("/subscriptions/imports", {**PRESET, "Target": TARGET, **changes})
    return calls


async def sample_event(calls: HubCalls) -> dict[str, Any]:
    presets = (await calls.client.get("/presets")).json()["Items"]
    return dict(next(one["SampleEvent"] for one in presets if one["PresetId"] == "learningbuilder-import"))


async def test_the_sample_arrives_as_a_line(hub: RunningHub, site: LearningBuilder) -> None:
    """Every field of the sample is in the line with its type, beside what tells the event and the person."""
    calls = await set_up(hub, site)
    sample = await sample_event(calls)

    location = await calls.publish(**sample)
    delivery = await calls.delivered(location)

    (line,) = site.lines
    assert line == sample["PublisherEventData"] | {
        "EventId": location.removeprefix("/events/"),
        "PublisherParticipantId": "robin.vale@example.org",
        "EventStartUtc": "2024-08-03T20:00:00Z",
        "EventEndUtc": "2024-08-03T21:43:58Z",
    }
    assert delivery == IsPartialDict(
        SubscriberRecordId="4711", Message="Accepted for import as batch 4711, not yet imported.", ConfirmedUtc=None
    )
    (attempt,) = await calls.attempts(delivery)
    assert "4711" in attempt["Response"]["Body"]
    assert attempt["Request"]["Url"] == IsStr(regex=rf"{site.address}/API/WorkflowImportQueue/CreateBatch\?fileName=.*")
    assert API_KEY not in str(attempt)


async def test_what_is_absent_is_null(hub: RunningHub, site: LearningBuilder) -> None:
    """Optional fields that are absent are null, false stays false, and numbers keep their spelling."""
    calls = await set_up(hub, site)
    data = {":ActivityId": "A1", "Course Name": "Wound care", "Is Provider Verified": False, "ActivityTypeId": 0}

    await calls.delivered(await calls.publish(PublisherEventData=data))

    (line,) = site.lines
    assert {name: value for name, value in line.items() if value is not None} == data | {
        "EventId": IsStr,
        "PublisherParticipantId": "robin.vale@example.org",
        "EventStartUtc": "2026-11-20T14:00:00Z",
        "EventEndUtc": "2026-11-20T15:20:00Z",
        ":Completion Date": "2026-11-20T15:20:00Z",
    }


async def test_the_preset_needs_an_import_process(hub_without_worker: RunningHub) -> None:
    """Which import process takes the lines is known to nobody but the administrator: without it nothing is saved."""
    calls = HubCalls(hub_without_worker)
    await calls.hub.make_program("NURSES")
    changes = {
        "Connector": "learningbuilder",
        "Settings": {"BaseUrl": "https://lb.example.org"},
        "Credentials": {"ApiKey": "x"},
    }
    await calls.put("/subscribers/lb", a_subscriber_body(**changes))

    refused = await calls.client.put("/subscriptions/imports", json=PRESET)

    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["Target.ImportProcessId"]


@pytest.mark.parametrize("field", ["OnWithdraw", "OnReopened"])
async def test_nothing_can_be_taken_back(hub_without_worker: RunningHub, site: LearningBuilder, field: str) -> None:
    """A subscription that would take records back is refused when it is saved, with the field named."""
    calls = await set_up(hub_without_worker, site)
    refused = await calls.client.put("/subscriptions/other", json={**PRESET, "Target": TARGET, field: "remove"})

    assert refused.status_code == 400
    assert refused.json()["errors"] == [{"field": field, "message": IsStr(regex=".*cannot remove records")}]


async def test_a_key_that_is_refused_and_mended(hub: RunningHub, site: LearningBuilder) -> None:
    """With a wrong key nothing more is sent; with the right one everything goes out by itself."""
    calls = await set_up(hub, site)
    await calls.put("/subscribers/lb", a_learningbuilder(site, "wrong-key"))
    event = await calls.publish(**await sample_event(calls))

    async def pause() -> Any:
        return (await calls.client.get("/subscribers/lb")).json()["Paused"]

    found = await eventually(pause)
    (delivery,) = await calls.deliveries_of(event)
    assert (found["Code"], found["NextProbeUtc"]) == ("credentials_refused", None)
    assert "wrong-key" not in str(found) + str(delivery) + str(await calls.attempts(delivery))
    assert site.lines == []
    (group,) = (await calls.client.get("/deliveries/groups")).json()["Items"]
    assert (group["Kind"], group["Code"], group["Count"]) == ("pause", "credentials_refused", 1)

    await calls.put("/subscribers/lb", a_learningbuilder(site))

    await calls.delivered(event)
    assert len(site.lines) == 1


async def publish_many(calls: HubCalls, count: int) -> list[str]:
    """The addresses of *count* events of as many source records, published together."""
    events = [an_event_body(PublisherEventId=f"AI:{number}", PublisherEventData=DATA) for number in range(count)]
    answer = await calls.client.post("/events/batch", json=events)
    return [result["Location"] for result in answer.json()["Results"]]


async def all_are(calls: HubCalls, state: str, count: int) -> list[dict[str, Any]]:
    """The deliveries, once *count* of them are in a state."""

    async def look() -> list[dict[str, Any]]:
        answer = await calls.client.get("/deliveries", params={"State": state, "Limit": "1000"})
        return list(answer.json()["Items"])

    return list(await eventually(look, until=lambda found: len(found) == count, seconds=60))


async def test_many_events_are_few_batches(hub: RunningHub, site: LearningBuilder) -> None:
    """What is due together goes out together, up to 500 to a batch, each event once, each with its batch's number."""
    calls = await set_up(hub, site, State="stopped")
    await publish_many(calls, 520)
    await all_are(calls, "waiting", 520)
    await calls.put("/subscriptions/imports", {**PRESET, "Target": TARGET, "State": "started"})
    delivered = await all_are(calls, "delivered", 520)

    assert len({line["EventId"] for line in site.lines}) == len(site.lines) == 520
    assert max(len(batch.lines) for batch in site.batches) <= 500
    assert len(site.batches) <= 6
    batch_of = {line["EventId"]: str(batch.batch_id) for batch in site.batches for line in batch.lines}
    assert {one["EventId"]: one["SubscriberRecordId"] for one in delivered} == batch_of
    (attempt,) = await calls.attempts(delivered[0])
    assert batch_of[delivered[0]["EventId"]] in attempt["Response"]["Body"]
    assert delivered[0]["EventId"] in attempt["Request"]["Body"]


async def feed_of(calls: HubCalls, **filters: str) -> list[str]:
    """The ids of all events in the order of the feed."""
    ids: list[str] = []
    query = {"ProgramId": "NURSES", "Limit": "1000", **filters}
    while True:
        page = (await calls.client.get("/events", params=query)).json()
        if not page["Items"]:
            return ids
        ids += [one["EventId"] for one in page["Items"]]
        query["Cursor"] = page["NextCursor"]


async def test_lines_are_in_the_order_of_the_feed(hub: RunningHub, site: LearningBuilder) -> None:
    """In each batch, whichever of them is rendered first."""
    count = 550
    template = {"EventId": "{{ event.EventId }}", "Text": "{% for i in (1..data.Steps) %}x{% endfor %}"}
    made: dict[str, Any] = {"Templates": {"_default": template}}
    calls = await set_up(hub, site, State="stopped", **made)
    events = [
        an_event_body(PublisherEventId=f"AI:{number}", PublisherEventData={"Steps": 400 if number % 50 == 0 else 1})
        for number in range(count)
    ]
    for at in range(0, count, 20):
        await calls.client.post("/events/batch", json=events[at : at + 20])
    await all_are(calls, "waiting", count)

    await calls.put("/subscriptions/imports", {**PRESET, "Target": TARGET, "State": "started", **made})

    await eventually(lambda: asyncio.sleep(0, len(site.lines)), until=lambda found: found == count)
    place = {event_id: number for number, event_id in enumerate(await feed_of(calls))}
    for batch in site.batches:
        places = [place[line["EventId"]] for line in batch.lines]
        assert places == sorted(places)


async def test_large_events_are_more_batches(hub: RunningHub, site: LearningBuilder) -> None:
    """A batch of large lines ends before it is one that no server takes: at 4 MiB and the line that reaches them."""
    calls = await set_up(hub, site, State="stopped", Templates={"_default": {"Text": "{{ data.Text }}"}})
    for number in range(30):
        await calls.publish(PublisherEventId=f"AI:{number}", PublisherEventData={"Text": "x" * 200_000})
    await all_are(calls, "waiting", 30)
    await calls.put(
        "/subscriptions/imports",
        {**PRESET, "Target": TARGET, "State": "started"} | {"Templates": {"_default": {"Text": "{{ data.Text }}"}}},
    )
    await all_are(calls, "delivered", 30)
    assert sum(len(batch.lines) for batch in site.batches) == 30
    assert max(len(batch.lines) for batch in site.batches) <= 4 * 1024 * 1024 // 200_000 + 1


@pytest.mark.parametrize("fault", [Fault(carried_out=True), Fault(says=Says(500)), Fault(says=Says(502))], ids=str)
async def test_a_batch_whose_outcome_is_not_known_is_parked(
    hub: RunningHub, site: LearningBuilder, fault: Fault
) -> None:
    """It is not sent again by itself, however long one waits; what a person puts back is."""
    calls = await set_up(hub, site)
    site.fail(fault)
    await publish_many(calls, 3)
    parked = await all_are(calls, "parked", 3)
    taken = len(site.lines)
    await asyncio.sleep(2)

    assert {(one["Code"], one["Class"], one["Attempts"]) for one in parked} == {("outcome_unknown", "unavailable", 1)}
    assert all("recent imports" in one["Message"] for one in parked)
    assert len(site.lines) == taken == (3 if fault.carried_out else 0)

    await calls.client.post(f"/deliveries/{parked[0]['DeliveryId']}/requeue")
    await all_are(calls, "delivered", 1)
    assert len(site.lines) == taken + 1


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault(carried_out=True), "connection_failed", "no whole answer"),
        (Fault(says=Says(502)), "connection_failed", "answered 502"),
        (Fault(says=Says(504)), "timed_out", "answered 504"),
    ],
    ids=str,
)
async def test_the_pause_tells_of_the_subscriber_and_not_of_the_batch(
    hub: RunningHub, site: LearningBuilder, fault: Fault, code: str, words: str
) -> None:
    """Whoever reads it learns that LearningBuilder is away; what to do about the batch stands with its deliveries."""
    calls = await set_up(hub, site)
    site.fail(fault)
    await calls.publish(PublisherEventData=DATA)

    async def pause() -> Any:
        return (await calls.client.get("/subscribers/lb")).json()["Paused"]

    # Nothing waits for it, so that it ends by itself after a while.
    paused = await eventually(pause)

    assert paused["Code"] == code
    assert words in paused["Message"]
    assert "batch" not in paused["Message"]
    assert "requeue" not in paused["Message"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_batch_that_surely_was_not_taken_goes_again(
    hub: RunningHub, site: LearningBuilder, status: int
) -> None:
    """By itself, and each event is imported once."""
    calls = await set_up(hub, site)
    site.answer(status)
    await publish_many(calls, 3)
    await all_are(calls, "delivered", 3)

    assert len({line["EventId"] for line in site.lines}) == len(site.lines) == 3


async def test_events_of_a_record_are_imported_in_order(hub: RunningHub, site: LearningBuilder) -> None:
    """Started comes before completed, whatever other events are in the batches."""
    calls = await set_up(hub, site, EventTypes=["AI_STARTED", "AI_COMP_SUCCESS"])
    started = await calls.publish(EventType="AI_STARTED", PublisherEventData=DATA)
    completed = await calls.publish(EventType="AI_COMP_SUCCESS", PublisherEventData=DATA)
    await calls.delivered(completed)

    sent = [f"/events/{line['EventId']}" for line in site.lines]
    assert sent == [started, completed]
