"""From a published event to a line in the import queue of LearningBuilder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from factories import a_subscriber_body
from http_server import running
from hub_calls import HubCalls
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder
from running import RunningHub, eventually

PRESET = {"Preset": "learningbuilder-import", "SubscriberId": "lb", "ProgramId": "NURSES"}
TARGET = {"Kind": "import", "ImportProcessId": PROCESS}


@pytest.fixture
async def site() -> AsyncIterator[LearningBuilder]:
    server = LearningBuilder()
    async with running(server):
        yield server


async def set_up(hub: RunningHub, site: LearningBuilder, **changes: Any) -> HubCalls:
    """A Program, the LearningBuilder as a subscriber, and the subscription `imports` made of the preset."""
    calls = HubCalls(hub)
    await hub.make_program("NURSES")
    subscriber = {
        "Name": "LearningBuilder",
        "Connector": "learningbuilder",
        "Settings": {"BaseUrl": site.address, "SuccessEmail": None, "FailureEmail": "imports@example.org"},
        "Credentials": {"ApiKey": API_KEY},
    }
    shown = await calls.put("/subscribers/lb", subscriber)
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
    assert refused.json()["errors"] == [{"field": field, "message": IsStr(regex=".*takes nothing back")}]


async def test_a_key_that_is_refused_is_told(hub: RunningHub, site: LearningBuilder) -> None:
    """With a wrong key nothing arrives, and the delivery says whose move it is."""
    calls = await set_up(hub, site)
    await calls.put(
        "/subscribers/lb",
        {
            "Name": "LearningBuilder",
            "Connector": "learningbuilder",
            "Settings": {"BaseUrl": site.address},
            "Credentials": {"ApiKey": "wrong-key"},
        },
    )
    location = await calls.publish(**await sample_event(calls))
    (delivery,) = await eventually(
        lambda: calls.deliveries_of(location), until=lambda items: bool(items) and bool(items[0]["Code"])
    )

    assert delivery["Code"] == "credentials_refused"
    assert site.lines == []
    assert "wrong-key" not in str(delivery) + str(await calls.attempts(delivery))
