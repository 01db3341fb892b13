"""From a committed event to a record in iMIS, with the real sandbox at the other end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import eventually
from factories import an_event_body
from running import RunningHub

from learning_hub.sandbox import RunningSandbox, running_sandbox, seeds


@pytest.fixture
def imis() -> Iterator[RunningSandbox]:
    """A sandbox iMIS of this test's own."""
    with running_sandbox() as running:
        yield running


async def set_up(hub: RunningHub, imis: RunningSandbox, **changes: Any) -> None:
    """A Program, the sandbox as a subscriber, and a subscription for activities."""
    await hub.make_program("NURSES")
    subscriber = {
        "Name": "iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": imis.address, "TimeZone": "America/New_York", "ParticipantLookup": "email"},
        "Credentials": {"Username": imis.username, "Password": imis.password},
    }
    answer = await hub.client.put("/subscribers/imis", json=subscriber)
    assert answer.status_code == 201, answer.text
    subscription = {
        "Name": "Completions to iMIS",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": {"Kind": "activity"},
        "Templates": {
            "_default": {
                "ActivityType": "TCLEARNING",
                "Source": "TopClass",
                "Subtype": "{{ data['Activity Code'] }}",
                "Description": "{{ data['Activity Title'] }}",
            }
        },
        **changes,
    }
    answer = await hub.client.put("/subscriptions/completions", json=subscription)
    assert answer.status_code == 201, answer.text


async def deliveries_of(hub: RunningHub, location: str) -> list[dict[str, Any]]:
    answer = await hub.client.get(f"{location}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["Items"])


async def settled(hub: RunningHub, location: str, state: str) -> dict[str, Any]:
    found = await eventually(
        lambda: deliveries_of(hub, location),
        until=lambda items: bool(items) and items[0]["State"] == state,
        seconds=15,
    )
    return dict(found[0])


async def test_a_committed_event_becomes_an_activity(hub: RunningHub, imis: RunningSandbox) -> None:
    """A committed event is an activity in iMIS a moment later, without any call."""
    await set_up(hub, imis)
    answer = await hub.client.post("/events", json=an_event_body(PublisherParticipantId="robin.vale@example.org"))
    assert answer.status_code == 201, answer.text
    delivery = await settled(hub, answer.headers["Location"], "delivered")
    assert delivery["Attempts"] == 1
    (activity,) = imis.site.state()["Activities"] if hasattr(imis.site, "state") else [{}]
    print(activity, seeds.ROBIN)
