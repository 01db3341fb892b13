"""Subscriptions over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from factories import ACTIVITY_TEMPLATE, a_subscriber_body, a_subscription_body, an_event_body
from httpx import Response
from running import RunningHub, eventually

from learning_hub.store import subscriptions


@pytest.fixture
async def hub(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with the Program NURSES and the subscriber imis, which delivers nothing by itself."""
    await hub_without_worker.make_program()
    made = await hub_without_worker.client.put("/subscribers/imis", json=a_subscriber_body())
    assert made.status_code == 201
    return hub_without_worker


async def put(hub: RunningHub, subscription_id: str = "s", **changes: Any) -> Response:
    return await hub.client.put(f"/subscriptions/{subscription_id}", json=a_subscription_body(**changes))


def without_warnings(answer: Response) -> dict[str, Any]:
    """The subscription in the answer to a PUT, as reading it gives it."""
    return {name: value for name, value in answer.json().items() if name != "Warnings"}


async def publish(hub: RunningHub, number: int = 1, **changes: Any) -> str:
    answer = await hub.client.post("/events", json=an_event_body(PublisherEventId=f"AI:{number}", **changes))
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix("/events/")


async def deliveries(hub: RunningHub) -> list[dict[str, Any]]:
    rows = await hub.database.fetch("SELECT state, held, code, publisher_event_id FROM delivery ORDER BY event_seq")
    return [dict(row) for row in rows]


async def wait_for_deliveries(hub: RunningHub, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await eventually(lambda: deliveries(hub), until=lambda all_: len(all_) >= count)
    return found


async def test_what_was_left_out_takes_its_default(hub: RunningHub) -> None:
    """A new subscription answers 201 with every field, and with warnings; reading gives the same without them."""
    answer = await put(hub)

    assert answer.status_code == 201
    assert isinstance(answer.json()["Warnings"], list)
    made = without_warnings(answer)
    assert made == {
        "SubscriptionId": "s",
        **a_subscription_body(),
        "PublisherSystemId": None,
        "Schedule": "realtime",
        "TimeZone": "UTC",
        "OnWithdraw": "keep",
        "OnReopened": "ignore",
        "State": "started",
        "StartFrom": "now",
        "CreatedUtc": IsStr,
        "ChangedUtc": IsStr,
        "ArchivedUtc": None,
    }
    assert (await hub.client.get("/subscriptions/s")).json() == made
    assert (await hub.client.get("/subscriptions")).json() == {"Items": [made], "NextCursor": None}


async def test_a_put_replaces_the_whole_but_state_and_start(hub: RunningHub) -> None:
    """Left out later, a field is its default again; State and StartFrom stay as they are."""
    everything = {
        "PublisherSystemId": "TopClass",
        "Schedule": "0 6 * * 1-5",
        "TimeZone": "America/New_York",
        "OnWithdraw": "remove",
        "OnReopened": "remove",
        "State": "stopped",
        "StartFrom": "2026-01-02T03:04:05.1234567+02:00",
    }
    made = await put(hub, **everything)
    assert made.json() == IsPartialDict(everything | {"StartFrom": "2026-01-02T01:04:05.123456Z"})

    replaced = await put(hub)

    assert replaced.status_code == 200
    assert replaced.json() == IsPartialDict(
        PublisherSystemId=None,
        Schedule="realtime",
        TimeZone="UTC",
        OnWithdraw="keep",
        OnReopened="ignore",
        State="stopped",
        StartFrom="2026-01-02T01:04:05.123456Z",
    )


async def test_templates_are_kept_to_the_character(hub: RunningHub) -> None:
    """Numbers keep their spelling and keys their order, in the answer and in the database."""
    templates = '{"b":{"ActivityType":"X","Units":1.30},"a":null,"_default":{"ActivityType": "X" ,"Amount":1e2}}'
    content = '{"Name":"n","SubscriberId":"imis","ProgramId":"NURSES","EventTypes":["AI_STARTED"],"Target":'
    content += '{"Kind":"activity"},"Templates":' + templates + "}"

    made = await hub.client.put("/subscriptions/s", content=content)

    assert made.status_code == 201, made.text
    assert templates.replace('"X" ', '"X"').replace(": ", ":") in made.text
    stored = await hub.database.fetchval("SELECT templates::text FROM subscription")
    assert stored == templates
    found = await subscriptions.find(hub.database, "s")
    assert found
    assert found.templates_json == templates.replace('"X" ', '"X"').replace(": ", ":")
    audited = await hub.client.get("/audit", params={"ObjectId": "s"})
    assert '"Units":1.30' in audited.text


async def test_the_same_put_again_changes_nothing(hub: RunningHub) -> None:
    """Repeating a PUT leaves ChangedUtc and the audit log alone."""
    made = await put(hub)
    again = await put(hub)

    assert (again.status_code, again.json()) == (200, made.json())
    assert len((await hub.client.get("/audit", params={"ObjectType": "subscription"})).json()["Items"]) == 1


async def test_every_bad_field_is_named(hub: RunningHub) -> None:
    """All that is wrong is reported together: with fields, what they name, and templates with their places."""
    answer = await put(
        hub,
        "a%20b",
        SubscriberId="none",
        ProgramId="NOBODY",
        EventTypes=["AI_COMP_SUCCESS", "NEWS", "AI_COMP_SUCCESS"],
        Schedule="every day",
        TimeZone="Mars/Olympus",
        State="resting",
        OnWithdraw="forget",
        StartFrom="soon",
        Templates={"Online": {"Description": "{{ data['x' }}"}, "ILT": 5},
        Colour="red",
    )

    assert answer.status_code == 400
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert errors.keys() >= {
        "SubscriptionId",
        "SubscriberId",
        "ProgramId",
        "EventTypes[1]",
        "EventTypes[2]",
        "Schedule",
        "TimeZone",
        "State",
        "OnWithdraw",
        "StartFrom",
        "Templates.ILT",
        "Templates.Online.Description",
        "Colour",
    }
    assert "AI_REOPENED" in errors["EventTypes[1]"]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"Name": None}, ["Name"]),
        ({"SubscriberId": None, "ProgramId": None}, ["SubscriberId", "ProgramId"]),
        ({"EventTypes": []}, ["EventTypes"]),
        ({"EventTypes": "AI_STARTED"}, ["EventTypes"]),
        ({"EventTypes": [None]}, ["EventTypes[0]"]),
        ({"EventTypes": None}, ["EventTypes"]),
        ({"Target": None}, ["Target"]),
        ({"Target": "activity"}, ["Target"]),
        ({"Target": {}}, ["Target.Kind"]),
        ({"Target": {"Kind": "post"}}, ["Target.Kind"]),
        ({"Target": {"Kind": "panel"}}, ["Target.Name"]),
        ({"Target": {"Kind": "activity", "Colour": "red"}}, ["Target.Colour"]),
        ({"Templates": None}, ["Templates"]),
        ({"Templates": {}}, ["Templates"]),
        ({"Templates": []}, ["Templates"]),
        ({"Templates": {"": ACTIVITY_TEMPLATE}}, ["Templates."]),
        ({"Templates": {"x" * 201: ACTIVITY_TEMPLATE}}, [IsStr(regex="Templates.x+…")]),
        ({"Templates": {"_default": []}}, ["Templates._default"]),
        ({"Templates": {"a": {"ActivityType": "X", "Shoe": 1}}}, ["Templates.a.Shoe"]),
        ({"Templates": {"a": {"Source": "X"}}}, ["Templates.a.ActivityType"]),
        (
            {"Templates": {"a": {"ActivityType": "{{ nobody }}"}, "b": {"ActivityType": "{{ data.x | shout }}"}}},
            ["Templates.a.ActivityType", "Templates.b.ActivityType"],
        ),
        ({"Schedule": "0 0 31 2 *"}, ["Schedule"]),
        ({"Schedule": "* * * * * *"}, ["Schedule"]),
        ({"Schedule": 5}, ["Schedule"]),
        ({"TimeZone": "Europe"}, ["TimeZone"]),
        ({"StartFrom": "yesterday"}, ["StartFrom"]),
        ({"StartFrom": "9999-12-31T23:59:59-10:00"}, ["StartFrom"]),
        ({"PublisherSystemId": ""}, ["PublisherSystemId"]),
        ({"PublisherSystemId": "x" * 26}, ["PublisherSystemId"]),
        ({"Preset": "none"}, ["Preset"]),
        ({"ProgramId": "a\0"}, ["ProgramId"]),
    ],
)
async def test_one_bad_field(hub: RunningHub, changes: dict[str, Any], fields: list[str]) -> None:
    """A field that is missing, of the wrong kind, or names what is not there is 400 with its name and no other."""
    answer = await put(hub, **changes)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == fields


async def test_a_preset_that_is_not_there_is_the_one_error(hub: RunningHub) -> None:
    """What it would have given is not asked for as well."""
    answer = await hub.client.put(
        "/subscriptions/s", json={"Preset": "nope", "SubscriberId": "imis", "ProgramId": "NURSES"}
    )
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Preset"]


async def test_what_cannot_be_changed(hub: RunningHub) -> None:
    """Another subscriber, Program or start for an existing subscription is 409, and nothing changes."""
    await hub.make_program("DOCTORS")
    await hub.client.put("/subscribers/other", json=a_subscriber_body())
    made = await put(hub)

    for changes in ({"SubscriberId": "other"}, {"ProgramId": "DOCTORS"}, {"StartFrom": "beginning"}):
        refused = await put(hub, **changes)
        assert (refused.status_code, refused.json()["code"]) == (409, "subscription_fixed")
        assert next(iter(changes)) in refused.json()["detail"]
    assert (await hub.client.get("/subscriptions/s")).json() == without_warnings(made)


@pytest.mark.parametrize(("start_from", "expected"), [("now", [2]), ("beginning", [1, 2])])
async def test_where_a_subscription_begins(hub: RunningHub, start_from: str, expected: list[int]) -> None:
    """With now it gets what is committed after it was made, with beginning everything."""
    await publish(hub, 1)
    await put(hub, StartFrom=start_from)
    await publish(hub, 2)

    # Entries are taken in their order: once the last one has its delivery, all have been looked at.
    await publish(hub, 3)
    await wait_for_deliveries(hub, len(expected) + 1)

    found = [row["publisher_event_id"] for row in await deliveries(hub)]
    assert found == [f"AI:{number}" for number in (*expected, 3)]


async def test_a_subscription_can_begin_at_a_time(hub: RunningHub) -> None:
    """With a time it gets what was stored at or after it."""
    await publish(hub, 1)
    second = await publish(hub, 2)
    created = (await hub.client.get(f"/events/{second}")).json()["CreatedUtc"]

    await put(hub, StartFrom=created)

    assert [row["publisher_event_id"] for row in await wait_for_deliveries(hub, 1)] == ["AI:2"]


@pytest.mark.parametrize("pause", [{"State": "stopped"}, {"Schedule": "manual"}, {"Schedule": "0 0 29 2 *"}])
async def test_stopping_holds_and_starting_releases(hub: RunningHub, pause: dict[str, str]) -> None:
    """What was not sent is held while the subscription is stopped, manual or cron, and due again afterwards."""
    await put(hub)
    await publish(hub, 1)
    await wait_for_deliveries(hub, 1)

    await put(hub, **pause)
    assert [row["held"] for row in await deliveries(hub)] == [True]
    await publish(hub, 2)
    assert [row["held"] for row in await wait_for_deliveries(hub, 2)] == [True, True]

    await put(hub, State="started")
    assert [row["held"] for row in await deliveries(hub)] == [False, False]
    due = await hub.database.fetchval("SELECT bool_and(due_utc <= now()) FROM delivery")
    assert due


async def test_archiving_discards_what_was_not_sent(hub: RunningHub) -> None:
    """A DELETE discards waiting deliveries with a code, and later events make none; doing it again is the same."""
    await put(hub)
    await publish(hub, 1)
    await wait_for_deliveries(hub, 1)

    archived = [await hub.client.delete("/subscriptions/s") for _ in range(2)]

    assert [answer.status_code for answer in archived] == [204, 204]
    assert await deliveries(hub) == [
        {"state": "discarded", "held": False, "code": "archived", "publisher_event_id": "AI:1"}
    ]
    # Another one shows when an entry was taken; with the second the round of the first is over for all.
    await put(hub, "another")
    for number in (2, 3):
        await publish(hub, number)
        await wait_for_deliveries(hub, number)
    assert [row["publisher_event_id"] for row in await deliveries(hub)] == ["AI:1", "AI:2", "AI:3"]
    assert (await hub.client.get("/subscriptions/s")).json()["ArchivedUtc"] is not None


async def test_an_archived_subscription_is_made_anew(hub: RunningHub) -> None:
    """A PUT after a DELETE is 201 and begins where its StartFrom then says; what it had before stays as it was."""
    await put(hub, State="stopped")
    await publish(hub, 1)
    await wait_for_deliveries(hub, 1)
    await hub.client.delete("/subscriptions/s")
    await publish(hub, 2)

    again = await put(hub)
    await publish(hub, 3)

    assert (again.status_code, again.json()) == (201, IsPartialDict(State="started", ArchivedUtc=None))
    found = await wait_for_deliveries(hub, 2)
    assert [(row["publisher_event_id"], row["state"]) for row in found] == [("AI:1", "discarded"), ("AI:3", "waiting")]


async def test_a_list_can_be_narrowed(hub: RunningHub) -> None:
    """ProgramId and SubscriberId filter; a limited key sees its Programs alone and learns nothing of others."""
    await hub.make_program("DOCTORS")
    await hub.client.put("/subscribers/other", json=a_subscriber_body())
    await put(hub, "a")
    await put(hub, "b", ProgramId="DOCTORS")
    await put(hub, "c", SubscriberId="other")
    staff = await hub.caller("staff", programs=["NURSES"])

    async def ids(client: Any, **filters: Any) -> list[str]:
        answer = await client.get("/subscriptions", params=filters)
        return [item["SubscriptionId"] for item in answer.json()["Items"]]

    assert await ids(hub.client) == ["a", "b", "c"]
    assert await ids(hub.client, ProgramId="NURSES") == ["a", "c"]
    assert await ids(hub.client, SubscriberId="other") == ["c"]
    assert await ids(hub.client, Limit=1) == ["a"]
    assert await ids(staff) == ["a", "c"]
    assert (await staff.get("/subscriptions", params={"ProgramId": "DOCTORS"})).status_code == 403
    hidden = [await staff.get(f"/subscriptions/{one}") for one in ("b", "none")]
    assert [answer.status_code for answer in hidden] == [404, 404]
    assert (await staff.put("/subscriptions/a", json={})).status_code == 403
    assert (await staff.delete("/subscriptions/a")).status_code == 403
    assert (await hub.client.get("/subscriptions", params={"Programm": "x"})).status_code == 400


async def test_many_puts_at_once_make_one(hub: RunningHub) -> None:
    """However many make the same subscription at the same moment, one makes it and the others find it."""
    answers = await asyncio.gather(*(put(hub) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len((await hub.client.get("/audit", params={"ObjectType": "subscription"})).json()["Items"]) == 1


async def test_a_preset_is_laid_out(hub: RunningHub) -> None:
    """A preset gives name, target, types and templates; what is sent goes before it, templates by category."""
    body = {"Preset": "topclass-imis-activity", "SubscriberId": "imis", "ProgramId": "NURSES"}
    preset = next(
        item for item in (await hub.client.get("/presets")).json()["Items"] if item["PresetId"] == body["Preset"]
    )

    plain = await hub.client.put("/subscriptions/a", json=body)
    changed = await hub.client.put(
        "/subscriptions/b",
        json={**body, "Name": "Mine", "EventTypes": ["AI_COMP_SUCCESS"], "Templates": {"ILT": ACTIVITY_TEMPLATE}},
    )

    assert plain.json() == IsPartialDict({name: preset[name] for name in ("Name", "Target", "EventTypes", "Templates")})
    assert "Preset" not in plain.json()
    assert changed.json() == IsPartialDict(
        Name="Mine",
        EventTypes=["AI_COMP_SUCCESS"],
        Templates=preset["Templates"] | {"ILT": ACTIVITY_TEMPLATE},
    )


async def test_there_is_no_such_subscription(hub: RunningHub) -> None:
    """What is not there is 404; an id that cannot be one is 400; another method is 405 with Allow."""
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/preview")):
        assert (await hub.client.request(method, f"/subscriptions/none{path}", json={})).status_code == 404
        assert (await hub.client.request(method, f"/subscriptions/a%00{path}", json={})).status_code == 400
    wrong = await hub.client.post("/subscriptions/none", json={})
    assert wrong.status_code == 405
    assert "PUT" in wrong.headers["Allow"]
