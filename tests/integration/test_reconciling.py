"""Reconciliation: what was sent beside what the sandbox iMIS holds, and putting back what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from imis_hub import TEMPLATE, ImisHub
from msgspec.structs import replace
from panels import WITH_KEY
from plain_http import plain_async_client
from running import RunningHub, eventually

from learning_hub.settings import Settings

PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
KEYLESS = {"Kind": "panel", "Name": "TopClass_Learning"}
ROW = {"Course": "{{ data['Activity Title'] }}", "Units": "{{ data['Credits'] | default: 1 | decimal }}"}

pytestmark = pytest.mark.usefixtures("one_day")


def bucket() -> str:
    return f"NURSES-LB-{datetime.now(UTC):%Y%m%d}"


async def reconcile(
    imis_hub: ImisHub, status: int = 200, subscription_id: str = "completions", **body: Any
) -> dict[str, Any]:
    if not body.keys() & {"EventDateBucket", "FromUtc", "ToUtc"}:
        body["EventDateBucket"] = bucket()
    answer = await imis_hub.client.post(f"/subscriptions/{subscription_id}/reconcile", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def at_imis(imis_hub: ImisHub, method: str, path: str, **how: Any) -> httpx.Response:
    """What somebody does at iMIS, beside the hub."""
    async with plain_async_client(imis_hub.imis.address) as client:
        form = {"grant_type": "password", "username": imis_hub.imis.username, "password": imis_hub.imis.password}
        token = (await client.post("/token", data=form)).json()["access_token"]
        answer = await client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **how)
        assert answer.status_code < 300, answer.text
        return answer


async def change(imis_hub: ImisHub, path: str, name: str, value: Any) -> None:
    """Somebody changes one column of a record at iMIS."""
    entity = (await at_imis(imis_hub, "GET", path)).json()
    for one in entity["Properties"]["$values"]:
        if one["Name"] == name:
            one["Value"] = value
    await at_imis(imis_hub, "PUT", path, json=entity)


async def ended(imis_hub: ImisHub, run_id: str) -> dict[str, Any]:
    """A run once it has finished."""

    async def look() -> dict[str, Any]:
        return dict((await imis_hub.client.get(f"/runs/{run_id}")).json())

    return dict(await eventually(look, until=lambda run: run["State"] == "finished"))


def event_id(location: str) -> str:
    return location.rpartition("/")[2]


async def delivered(imis_hub: ImisHub, count: int, **changes: Any) -> list[tuple[str, dict[str, Any]]]:
    """Events and their deliveries."""
    locations = [await imis_hub.publish(PublisherEventId=f"AI:{number}", **changes) for number in range(count)]
    return [(location, await imis_hub.delivered(location)) for location in locations]


async def unconfirm(hub: RunningHub) -> None:
    await hub.database.execute("UPDATE delivery SET confirmed_utc = NULL")


async def test_there_missing_and_different(imis_hub: ImisHub) -> None:
    """Records that are there as sent are counted and confirmed; deleted and changed ones are named, field by field."""
    await imis_hub.set_up()
    done = await delivered(imis_hub, 4)
    await unconfirm(imis_hub.hub)
    (gone, gone_delivery), (changed, changed_delivery) = done[0], done[1]
    await at_imis(imis_hub, "DELETE", f"/api/Activity/{gone_delivery['SubscriberRecordId']}")
    await change(imis_hub, f"/api/Activity/{changed_delivery['SubscriberRecordId']}", "DESCRIPTION", "By hand")

    found = await reconcile(imis_hub)

    assert found["There"] == 2
    assert found["Missing"] == [
        {
            "EventId": event_id(gone),
            "DeliveryId": gone_delivery["DeliveryId"],
            "SubscriberRecordId": gone_delivery["SubscriberRecordId"],
        }
    ]
    assert [one["EventId"] for one in found["Different"]] == [event_id(changed)]
    assert found["Different"][0]["Fields"] == [
        {"Field": "DESCRIPTION", "Sent": "Fire safety refresher", "Held": "By hand"}
    ]
    assert (found["Unknown"], found["RunId"], found["NextCursor"]) == ([], None, None)
    confirmed = [bool((await imis_hub.deliveries_of(location))[0]["ConfirmedUtc"]) for location, _ in done]
    assert confirmed == [False, False, True, True]


@pytest.mark.parametrize("target", [{"Kind": "activity"}, PANEL, KEYLESS], ids=["activity", "panel", "keyless"])
async def test_what_is_missing_is_put_back_once(imis_hub: ImisHub, target: dict[str, Any]) -> None:
    """A record that was deleted at iMIS is inserted again, once, and confirmed; nothing else is sent."""
    await imis_hub.make_panel(PANEL["Name"], WITH_KEY)
    is_activity = target["Kind"] == "activity"
    await imis_hub.set_up(Target=target, Templates={"_default": TEMPLATE if is_activity else ROW})
    (gone, delivery), (stays, _) = await delivered(imis_hub, 2, PublisherEventData={
        "Activity Code": "FIRE-201", "Activity Title": "Fire safety", "Credits": 1,
    })  # fmt: skip
    entity = "Activity" if is_activity else target["Name"]
    await at_imis(imis_hub, "DELETE", f"/api/{entity}/{delivery['SubscriberRecordId']}")

    found = await reconcile(imis_hub, PutBack=True)

    assert [one["EventId"] for one in found["Missing"]] == [event_id(gone)]
    assert found["There"] == 1
    assert found["RunId"]
    run = await ended(imis_hub, found["RunId"])
    assert (run["Request"]["EventIds"], run["Counts"]["Delivered"]) == ([event_id(gone)], 1)
    again = await imis_hub.delivered(gone)
    assert again["DeliveryId"] != delivery["DeliveryId"]
    state = await imis_hub.state()
    assert len(state["Activities"] if is_activity else state["Panels"][entity]) == 2
    assert len(await imis_hub.deliveries_of(stays)) == 1
    whole = await reconcile(imis_hub, PutBack=True)
    assert (whole["There"], whole["Missing"], whole["RunId"]) == (2, [], None)
    assert (await imis_hub.delivered(gone))["ConfirmedUtc"]


@pytest.mark.parametrize("target", [{"Kind": "activity"}, PANEL], ids=["activity", "panel"])
async def test_records_that_are_there_twice_are_named(imis_hub: ImisHub, target: dict[str, Any]) -> None:
    """A second record with the same record key is named beside the one that the hub wrote, which counts as before."""
    await imis_hub.make_panel(PANEL["Name"], WITH_KEY)
    is_activity = target["Kind"] == "activity"
    await imis_hub.set_up(Target=target, Templates={"_default": TEMPLATE if is_activity else ROW})
    (location, delivery), _ = await delivered(imis_hub, 2)
    entity = "Activity" if is_activity else target["Name"]
    record = (await at_imis(imis_hub, "GET", f"/api/{entity}/{delivery['SubscriberRecordId']}")).json()
    # iMIS numbers a new record itself.
    record.pop("Identity")
    values = record["Properties"]["$values"]
    record["Properties"]["$values"] = [one for one in values if one["Name"] not in ("SEQN", "Ordinal")]
    await at_imis(imis_hub, "POST", f"/api/{entity}", json=record)

    found = await reconcile(imis_hub)

    assert (found["There"], found["Missing"], found["Different"]) == (2, [], [])
    (doubled,) = found["Doubled"]
    assert doubled["EventId"] == event_id(location)
    assert doubled["SubscriberRecordIds"][0] == delivery["SubscriberRecordId"]
    assert len(set(doubled["SubscriberRecordIds"])) == 2


async def test_a_record_counts_once_by_what_was_last_sent(imis_hub: ImisHub) -> None:
    """Revisions of one record are one, compared with the newest that was delivered; a parked one changes nothing."""
    await imis_hub.set_up()
    first = await imis_hub.publish()
    await imis_hub.delivered(first)
    data = {"Activity Code": "FIRE-201", "Activity Title": "Fire safety, corrected"}
    second = await imis_hub.publish(PublisherEventData=data)
    await imis_hub.delivered(second)
    third = await imis_hub.publish(PublisherEventData=data | {"Credits": "no number"})
    await imis_hub.settled(third, "parked")

    assert (await reconcile(imis_hub))["There"] == 1
    await change(imis_hub, f"/api/Activity/{(await imis_hub.delivered(second))['SubscriberRecordId']}", "UNITS", 7)
    found = await reconcile(imis_hub)
    assert [one["EventId"] for one in found["Different"]] == [event_id(second)]


async def test_what_was_taken_back_is_left_out(imis_hub: ImisHub) -> None:
    """A record whose withdrawal was delivered is neither there nor missing."""
    await imis_hub.set_up(OnWithdraw="remove")
    location = await imis_hub.publish()
    await imis_hub.delivered(location)
    await imis_hub.client.delete(location)

    async def removals() -> list[dict[str, Any]]:
        return [one for one in await imis_hub.deliveries_of(location) if one["Action"] == "remove"]

    await eventually(removals, until=lambda found: bool(found) and found[0]["State"] == "delivered")
    found = await reconcile(imis_hub)
    assert (found["There"], found["Missing"], found["Different"], found["Unknown"]) == (0, [], [], [])


async def test_a_span_is_of_the_times_when_events_were_stored(imis_hub: ImisHub) -> None:
    """From its beginning on and before its end; each record is in one of two spans that meet."""
    await imis_hub.set_up()
    done = await delivered(imis_hub, 3)
    times = [(await imis_hub.client.get(location)).json()["CreatedUtc"] for location, _ in done]
    late = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    early = f"{datetime.now(UTC) - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"
    assert (await reconcile(imis_hub, FromUtc=early, ToUtc=times[1]))["There"] == 1
    assert (await reconcile(imis_hub, FromUtc=times[1], ToUtc=late))["There"] == 2
    assert (await reconcile(imis_hub, EventDateBucket="NURSES-LB-20200101"))["There"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "EventDateBucket"),
        ({"EventDateBucket": "nonsense"}, "EventDateBucket"),
        ({"EventDateBucket": "DOCTORS-LB-20261122"}, "EventDateBucket"),
        ({"EventDateBucket": "NURSES-LB-99991231"}, "EventDateBucket"),
        ({"EventDateBucket": "NURSES-LB-20261122", "FromUtc": "2026-01-01T00:00:00Z"}, "EventDateBucket"),
        ({"FromUtc": "2026-01-01T00:00:00Z"}, "ToUtc"),
        ({"ToUtc": "2026-01-01T00:00:00Z"}, "FromUtc"),
        ({"FromUtc": "2026-01-02T00:00:00Z", "ToUtc": "2026-01-02T00:00:00Z"}, "ToUtc"),
        ({"FromUtc": "2025-01-01T00:00:00Z", "ToUtc": "2026-01-02T00:00:01Z"}, "ToUtc"),
        ({"FromUtc": "yesterday", "ToUtc": "2026-01-02T00:00:00Z"}, "FromUtc"),
        ({"EventDateBucket": "NURSES-LB-20261122", "Cursor": "nonsense"}, "Cursor"),
        ({"EventDateBucket": "NURSES-LB-20261122", "Limit": 1}, "Limit"),
    ],
)
async def test_the_span_is_checked(imis_hub: ImisHub, body: dict[str, Any], field: str) -> None:
    """Exactly one of bucket and span is needed, of the subscription's Program, and not too long."""
    await imis_hub.set_up()
    answer = await imis_hub.client.post("/subscriptions/completions/reconcile", json=body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field]), answer.text


async def test_every_bad_field_of_a_reconciliation_is_named(imis_hub: ImisHub) -> None:
    """A bad bucket and a cursor of another list are reported together, with what has the wrong form."""
    await imis_hub.set_up()
    body = {"EventDateBucket": "nonsense", "Cursor": "nonsense", "PutBack": "yes"}
    answer = await imis_hub.client.post("/subscriptions/completions/reconcile", json=body)
    assert [error["field"] for error in answer.json()["errors"]] == ["PutBack", "EventDateBucket", "Cursor"]


async def test_who_may_reconcile(imis_hub: ImisHub) -> None:
    """Keys with `process` or `staff`, for subscriptions of their Programs."""
    await imis_hub.set_up()
    await imis_hub.hub.make_program("DOCTORS")
    body = {"EventDateBucket": bucket()}
    for scope, programs, status in (
        ("process", ["NURSES"], 200), ("staff", ["NURSES"], 200), ("read", ["NURSES"], 403),
        ("staff", ["DOCTORS"], 404),
    ):  # fmt: skip
        client = await imis_hub.hub.caller(scope, programs=programs)
        answer = await client.post("/subscriptions/completions/reconcile", json=body)
        assert answer.status_code == status, (scope, answer.text)
    assert (await imis_hub.client.post("/subscriptions/other/reconcile", json=body)).status_code == 404


async def test_a_paused_subscriber_is_not_asked(imis_hub: ImisHub) -> None:
    """While the subscriber is paused the answer is 409 with what to do, and iMIS hears nothing."""
    await imis_hub.set_up()
    await delivered(imis_hub, 1)
    await imis_hub.hub.database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, probe_seconds) "
        "VALUES ('imis', 'credentials_refused', 'refused', 'iMIS refused the sign-in.', 5)"
    )
    before = len(await imis_hub.requests())

    answer = await reconcile(imis_hub, 409)

    assert answer["code"] == "subscriber_paused"
    assert "iMIS refused the sign-in." in answer["detail"]
    assert len(await imis_hub.requests()) == before


async def test_what_cannot_be_asked_for_is_not_missing(imis_hub: ImisHub) -> None:
    """Where iMIS is away its records are unknown, with the reason; after three in a row it is left alone."""
    await imis_hub.set_up()
    done = await delivered(imis_hub, 6)
    asked_before = len(await imis_hub.requests("/api/Activity/"))
    await imis_hub.fault("503", Method="GET", Path="/api/Activity")

    found = await reconcile(imis_hub)

    assert (found["There"], found["Missing"], found["Different"]) == (0, [], [])
    assert [one["EventId"] for one in found["Unknown"]] == [event_id(location) for location, _ in done]
    assert all("503" in one["Message"] for one in found["Unknown"])
    assert "not asked any more" in found["Unknown"][-1]["Message"]
    assert len(await imis_hub.requests("/api/Activity/")) == asked_before + 3
    await imis_hub.mend()
    assert (await reconcile(imis_hub))["There"] == 6


async def test_a_lone_failure_stops_nothing(imis_hub: ImisHub) -> None:
    """One record that cannot be asked for is unknown, and the others are compared all the same."""
    await imis_hub.set_up()
    done = await delivered(imis_hub, 4)
    await imis_hub.fault("500", Method="GET", Path=f"/api/Activity/{done[1][1]['SubscriberRecordId']}")
    found = await reconcile(imis_hub)
    assert (found["There"], [one["EventId"] for one in found["Unknown"]]) == (3, [event_id(done[1][0])])


async def test_what_lies_elsewhere_is_not_missing(imis_hub: ImisHub) -> None:
    """What was sent before the Target was changed is unknown, as it lies where that was."""
    await imis_hub.set_up()
    (location, _), = await delivered(imis_hub, 1)  # fmt: skip
    await imis_hub.put_subscription(Target=KEYLESS, Templates={"_default": ROW})
    found = await reconcile(imis_hub, PutBack=True)
    assert [one["EventId"] for one in found["Unknown"]] == [event_id(location)]
    assert (found["Missing"], found["RunId"]) == ([], None)


async def test_a_record_under_way_is_not_judged(imis_hub: ImisHub) -> None:
    """While a newer one of the record is being sent, what iMIS holds says nothing."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())
    await imis_hub.fault("hold", Method="PUT", Path="/api/Activity", Times=1)
    data = {"Activity Code": "FIRE-201", "Activity Title": "Corrected"}
    newer = await imis_hub.publish(PublisherEventData=data)
    await imis_hub.settled(newer, "sending")
    found = await reconcile(imis_hub)
    assert [bool(one["Message"]) for one in found["Unknown"]] == [True]
    assert (found["There"], found["Missing"], found["Different"]) == (0, [], [])
    await imis_hub.mend()
    await imis_hub.delivered(newer)


async def test_what_is_no_imis_cannot_be_asked(hub_without_worker: RunningHub) -> None:
    """Of a webhook there is nothing to compare and no participant to settle: 400 with a sentence."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    subscriber = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hook.example.org/in"}}
    assert (await hub.client.put("/subscribers/hook", json=subscriber)).status_code == 201
    subscription = {
        "Name": "All", "SubscriberId": "hook", "ProgramId": "NURSES", "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": {"Kind": "post"}, "Templates": {"_default": {"Id": "{{ event.EventId }}"}},
    }  # fmt: skip
    assert (await hub.client.put("/subscriptions/hook", json=subscription)).status_code == 201
    body = {"EventDateBucket": bucket()}
    settled = {"SubscriberParticipantId": "1"}
    for answer in (
        await hub.client.post("/subscriptions/hook/reconcile", json=body),
        await hub.client.put("/subscribers/hook/participants/x?ProgramId=NURSES", json=settled),
        await hub.client.get("/subscribers/hook/participants/x?ProgramId=NURSES"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "not_supported"), answer.text
        assert "webhook" in answer.json()["detail"]


class TestInALittleTime:
    """Where the time for one answer is short."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, run_wait_seconds=0.05)

    async def test_it_goes_on_where_it_stopped(self, imis_hub: ImisHub) -> None:
        """An answer that is not whole has a cursor; following it, each record is reported exactly once."""
        await imis_hub.set_up()
        done = await delivered(imis_hub, 5)
        await at_imis(imis_hub, "DELETE", f"/api/Activity/{done[3][1]['SubscriberRecordId']}")
        await imis_hub.fault("slow", Method="GET", Path="/api/Activity/", Seconds=0.1)
        there = answers = 0
        missing: list[str] = []
        more: dict[str, Any] = {}
        while True:
            found = await reconcile(imis_hub, **more)
            answers += 1
            there += found["There"]
            missing += [one["EventId"] for one in found["Missing"]]
            assert found["Unknown"] == []
            if found["NextCursor"] is None:
                break
            more = {"Cursor": found["NextCursor"]}
        assert (there, missing) == (4, [event_id(done[3][0])])
        assert answers > 1
