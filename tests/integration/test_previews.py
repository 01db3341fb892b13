"""Previews, forecasts and presets: what would be sent, without sending it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr
from factories import a_subscriber_body, a_subscription_body, an_event_body
from running import RunningHub

from learning_hub.services.preview_limit import MOST_PREVIEWS
from learning_hub.store import participants

TEMPLATES = {
    "Online": {
        "ActivityType": "TCLEARNING",
        "Description": "{{ data['Activity Title'] }} ({{ category.label }})",
        "EffectiveDate": "{{ event.EventEndUtc | imis_datetime }}",
        "Units": "{{ data['Credits'] | default: nil }}",
        "Note": "{{ event.EventId }} {{ event.Revision }} {{ program.Name }} {{ subscription.Name }}",
        "OTHER_ID": "{{ participant.Id }}",
    },
    "Broken": {"ActivityType": "X", "Description": "{{ data['Nothing'] }}"},
    "Wrong": {"ActivityType": "{{ data['Activity Code'] | blank_to_null }}"},
    "Off": None,
}


@pytest.fixture
async def hub(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with a subscription s of NURSES, whose subscriber cannot be reached."""
    hub = hub_without_worker
    await hub.make_program()
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    made = await hub.client.put("/subscriptions/s", json=a_subscription_body(Templates=TEMPLATES))
    assert made.status_code == 201, made.text
    return hub


async def preview(hub: RunningHub, **body: Any) -> Any:
    answer = await hub.client.post("/subscriptions/s/preview", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_category(value: str | None, **changes: Any) -> dict[str, Any]:
    return an_event_body(PublisherEventCategory={"value": value} if value else None, **changes)


async def test_an_unstored_event_is_previewed(hub: RunningHub) -> None:
    """The payload is that of a delivery: times in the subscriber's zone, numbers as spelled; nothing is stored."""
    event = an_event_body() | {"PublisherEventData": {"Activity Title": "Fire safety", "Credits": "UNITS"}}
    content = json.dumps({"Event": event}).replace('"UNITS"', "1.30")

    answer = await hub.client.post("/subscriptions/s/preview", content=content)

    assert answer.json() == {
        "Template": "Online",
        "Payload": {
            "ActivityType": "TCLEARNING",
            "Description": "Fire safety (Online course)",
            "EffectiveDate": "2026-11-20 10:20:00.000",
            "Units": 1.3,
            "Note": IsStr(regex=r"E:NURSES-[0-9a-f-]{36} 1 The NURSES Completions to iMIS"),
            "OTHER_ID": None,
        },
        "Error": None,
    }
    assert '"Units":1.30' in answer.text
    assert (await hub.client.get("/events", params={"ProgramId": "NURSES"})).json()["Items"] == []


async def test_a_stored_event_is_previewed(hub: RunningHub) -> None:
    """With EventId the stored event is taken; an event of another Program, or none, is 400."""
    location = (await hub.client.post("/events", json=an_event_body())).headers["Location"]
    event_id = location.removeprefix("/events/")

    shown = await preview(hub, EventId=event_id)

    assert shown["Payload"]["Note"].startswith(event_id)
    for bad in (
        event_id.replace("NURSES", "DOCTORS"),
        event_id[:-1] + ("1" if event_id[-1] == "0" else "0"),
        "E:1",
        "",
    ):
        refused = await hub.client.post("/subscriptions/s/preview", json={"EventId": bad})
        assert [error["field"] for error in refused.json()["errors"]] == ["EventId"]


async def test_a_remembered_participant_is_in_the_preview(hub: RunningHub) -> None:
    """participant.Id is there once it is remembered, without asking the subscriber."""
    async with hub.database.transaction() as connection:
        await participants.save_match(
            connection,
            subscriber_id="imis",
            program_id="NURSES",
            publisher_system_id=participants.EVERY_SYSTEM,
            publisher_participant_id="robin.vale@example.org",
            subscriber_participant_id="10042",
            settled_by="me",
        )
    assert (await preview(hub, Event=an_event_body()))["Payload"]["OTHER_ID"] == "10042"


@pytest.mark.parametrize(
    ("category", "template", "code", "place"),
    [
        ("Broken", "Broken", "template_error", "Broken.Description"),
        ("Wrong", "Wrong", "template_error", "Wrong.ActivityType"),
        ("Off", None, "category_off", "Off"),
        ("Other", None, "no_template", "Other"),
        (None, None, "no_template", "_default"),
    ],
)
async def test_an_error_has_its_place(
    hub: RunningHub, category: str | None, template: str | None, code: str, place: str
) -> None:
    """Without a payload the answer is 200 with a code, a sentence and the place in the templates."""
    event = in_category(category, PublisherEventData={"Activity Code": " "})
    assert await preview(hub, Event=event) == {
        "Template": template,
        "Payload": None,
        "Error": {"Code": code, "Message": IsStr(min_length=5), "Place": place},
    }


async def test_templates_not_yet_saved_can_be_tried(hub: RunningHub) -> None:
    """Templates in the body take the place of the saved ones; what is wrong with them is an error with its place."""
    good = await preview(hub, Event=in_category("New"), Templates={"New": {"ActivityType": "CALL"}})
    unknown = await preview(hub, Event=in_category("New"), Templates={"New": {"ActivityType": "CALL", "Shoe": 9}})
    broken = await preview(hub, Event=in_category("New"), Templates={"New": {"ActivityType": "{{ x", "Note": "n"}})

    assert good == {"Template": "New", "Payload": {"ActivityType": "CALL"}, "Error": None}
    assert unknown == {"Template": "New", "Payload": None, "Error": IsPartialDict(Place="New.Shoe")}
    assert broken == {"Template": "New", "Payload": None, "Error": IsPartialDict(Place="New.ActivityType")}
    saved = (await hub.client.get("/subscriptions/s")).json()["Templates"]
    assert saved == TEMPLATES


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["EventId"]),
        ({"EventId": "E:NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61", "Event": an_event_body()}, ["EventId"]),
        ({"Event": []}, ["Event"]),
        (
            {"Event": {**an_event_body(), "PublisherEventId": 5, "Colour": 1}},
            ["Event.PublisherEventId", "Event.Colour"],
        ),
        ({"Event": an_event_body(PublisherProgramId="DOCTORS")}, ["Event.PublisherProgramId"]),
        (
            {"Event": an_event_body(PublisherProgramId="DOCTORS", EventType="NEWS")},
            ["Event.PublisherProgramId", "Event.EventType"],
        ),
        ({"Event": an_event_body(), "Templates": []}, ["Templates"]),
        ({"Event": an_event_body(), "Templates": {"a": 1}}, ["Templates.a"]),
        ({"Event": an_event_body(), "Colour": 1}, ["Colour"]),
        (
            {
                "EventId": "E:1",
                "Templates": {"a": 1, "b": {"ActivityType": "{{ x"}, "c": {"ActivityType": "X", "Shoe": 1}},
            },
            ["Templates.a", "EventId", "Templates.b.ActivityType", "Templates.c.Shoe"],
        ),
        (
            {"Event": an_event_body(), "Templates": {"a": {"Note": "\0"}, "b": {"ActivityType": "{{ x"}}},
            ["Templates.a.Note", "Templates.b.ActivityType"],
        ),
    ],
)
async def test_every_bad_field_of_a_preview_is_named(hub: RunningHub, body: Any, fields: list[str]) -> None:
    """A body that cannot be previewed is 400 with each bad field."""
    answer = await hub.client.post("/subscriptions/s/preview", json=body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields


async def test_who_may_preview(hub: RunningHub) -> None:
    """Keys with process or staff for the Program may; others get 403, or 404 for another Program's subscription."""
    body = {"Event": an_event_body()}
    statuses = {}
    for scope in ("publish", "read", "process", "staff"):
        caller = await hub.caller(scope, programs=["NURSES"])
        statuses[scope] = (await caller.post("/subscriptions/s/preview", json=body)).status_code
    await hub.make_program("DOCTORS")
    stranger = await hub.caller("staff", programs=["DOCTORS"])

    assert statuses == {"publish": 403, "read": 403, "process": 200, "staff": 200}
    assert (await stranger.post("/subscriptions/s/preview", json=body)).status_code == 404


async def test_a_forecast_shows_what_each_subscription_would_get(hub: RunningHub) -> None:
    """ValidateOnly renders the event for the subscriptions that match it, with a key that may only publish."""
    await hub.client.put(
        "/subscriptions/other", json=a_subscription_body(PublisherSystemId="Other", Templates=TEMPLATES)
    )
    await hub.client.put(
        "/subscriptions/started", json=a_subscription_body(EventTypes=["AI_STARTED"], Templates=TEMPLATES)
    )
    publisher = await hub.caller("publish", programs=["NURSES"])

    async def forecast(category: str) -> Any:
        body = in_category(category)
        return (await publisher.post("/events", params={"ValidateOnly": "true"}, json=body)).json()

    assert await forecast("Online") == {
        "Valid": True,
        "Problem": None,
        "WouldBe": "new",
        "Subscriptions": [
            {
                "SubscriptionId": "s",
                "Template": "Online",
                "Payload": IsPartialDict(ActivityType="TCLEARNING"),
                "Error": None,
            }
        ],
    }
    assert (await forecast("Broken"))["Subscriptions"] == [
        {
            "SubscriptionId": "s",
            "Template": "Broken",
            "Payload": None,
            "Error": {"Code": "template_error", "Message": IsStr, "Place": "Broken.Description"},
        }
    ]
    assert (await hub.database.fetchval("SELECT count(*) FROM event")) == 0


async def test_a_forecast_counts_the_revisions(hub: RunningHub) -> None:
    """What would be a revision renders with its number."""
    await hub.client.post("/events", json=an_event_body())
    changed = an_event_body(PublisherEventData={"Activity Title": "Other"})
    answer = (await hub.client.post("/events", params={"ValidateOnly": "true"}, json=changed)).json()

    assert answer["WouldBe"] == "revision"
    assert " 2 The NURSES " in answer["Subscriptions"][0]["Payload"]["Note"]


async def test_presets_are_listed_in_pages_with_numbers_as_spelled(hub: RunningHub) -> None:
    """The list has every preset, with numbers as spelled, and pages like all lists."""
    listed = await hub.client.get("/presets")
    first = (await hub.client.get("/presets", params={"Limit": 1})).json()

    assert [item["PresetId"] for item in listed.json()["Items"]] == [
        "learningbuilder-imis-activity",
        "learningbuilder-import",
        "openwater-imis-panel",
        "topclass-imis-activity",
        "topclass-imis-panel",
    ]
    fields = {"PresetId", "Name", "Connector", "Target", "EventTypes", "Templates", "SampleEvent"}
    assert all(set(item) == fields for item in listed.json()["Items"])
    assert '"Credits":1.30' in listed.text
    rest = (await hub.client.get("/presets", params={"Cursor": first["NextCursor"]})).json()
    assert first["Items"] + rest["Items"] == listed.json()["Items"]


PAYLOADS: dict[str, dict[str, Any]] = {
    "topclass-imis-activity": {
        "ActivityType": "TCLEARNING",
        "Source": "TopClass",
        "Subtype": "FIRE-201",
        "Description": "Fire safety refresher",
        "EffectiveDate": "2026-11-20 10:20:00.000",
        "Units": 1.3,
        "CeuType": "CPD",
    },
    "topclass-imis-panel": {
        "CourseCode": "FIRE-202",
        "Course": "Fire safety test",
        "CourseCompleted": None,
        "Units": None,
        "CreditType": None,
        "CEUType": None,
    },
    "openwater-imis-panel": {
        "EventId": IsStr,
        "SourceId": "OW:30021",
        "Participant": "robin.vale@example.org",
        "Category": "Fellowship",
        "EventType": "AI_COMP_SUCCESS",
        "EventStart": "2026-11-18 04:00:00.000",
        "EventEnd": "2026-11-20 10:20:00.000",
        "Title": "Fellowship in wound care",
        "Units": None,
    },
    "learningbuilder-imis-activity": {
        "ActivityType": "TCLEARNING",
        "Source": "LearningBuilder",
        "Subtype": "A0099999",
        "Description": "Reduction of Pain in a Medical Unit",
        "EffectiveDate": "2024-08-03 17:43:58.000",
        "Units": 1.3,
        "NOTE": "Medical-Surgical",
    },
}


@pytest.mark.parametrize("preset_id", sorted(PAYLOADS))
async def test_a_preset_renders_its_sample(hub: RunningHub, preset_id: str) -> None:
    """Each preset can be saved as it is, takes its own sample event, and makes the payload it promises of it."""
    body = {"Preset": preset_id, "SubscriberId": "imis", "ProgramId": "NURSES"}
    made = await hub.client.put("/subscriptions/p", json=body)
    assert made.status_code == 201, made.text
    preset = next(item for item in (await hub.client.get("/presets")).json()["Items"] if item["PresetId"] == preset_id)

    shown = (await hub.client.post("/subscriptions/p/preview", json={"Event": preset["SampleEvent"]})).json()

    assert shown == {"Template": IsStr, "Payload": PAYLOADS[preset_id], "Error": None}
    assert preset["SampleEvent"]["EventType"] in preset["EventTypes"]


async def test_topclass_data_may_lack_all_but_code_and_title(hub: RunningHub) -> None:
    """Absent credits are null, an absent completion date is the event's end; External Training is off."""
    body = {"Preset": "topclass-imis-activity", "SubscriberId": "imis", "ProgramId": "NURSES"}
    await hub.client.put("/subscriptions/p", json=body)

    async def shown(category: str | None, data: dict[str, Any], **changes: Any) -> Any:
        event = in_category(category, PublisherEventData=data, **changes)
        return (await hub.client.post("/subscriptions/p/preview", json={"Event": event})).json()

    least = {"Activity Code": "A", "Activity Title": "T"}
    assert (await shown("ILT", least))["Payload"] == {
        "ActivityType": "TCLEARNING",
        "Source": "TopClass",
        "Subtype": "A",
        "Description": "T",
        "EffectiveDate": "2026-11-20 10:20:00.000",
        "Units": None,
        "CeuType": None,
    }
    started = (await shown("ILT", {**least, "Completion Date": ""}, EventEndUtc=None))["Payload"]
    assert started["EffectiveDate"] == "2026-11-20 09:00:00.000"
    assert (await shown("ILT", {"Activity Title": "T"}))["Error"]["Place"] == "ILT.Subtype"
    assert (await shown("External Training", least))["Error"]["Code"] == "category_off"
    assert (await shown("Webinar", least))["Error"]["Code"] == "no_template"


async def test_openwater_without_a_category(hub: RunningHub) -> None:
    """An event without category and end leaves these columns null."""
    body = {"Preset": "openwater-imis-panel", "SubscriberId": "imis", "ProgramId": "NURSES"}
    await hub.client.put("/subscriptions/p", json=body)
    event = in_category(None, PublisherEventData={"Application Title": "T"}, EventEndUtc=None)

    shown = (await hub.client.post("/subscriptions/p/preview", json={"Event": event})).json()

    assert shown["Payload"] == IsPartialDict(Category=None, EventEnd=None, Title="T")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (r'{"a":"\ud800"}', "Event.a"),
        (r'{"PublisherEventData":{"x":"\udfff"}}', "Event.PublisherEventData.x"),
        (r'{"PublisherEventId":"\u0000"}', "Event.PublisherEventId"),
        ('{"PublisherEventData":{"x":1e999}}', "Event.PublisherEventData.x"),
        (r'{"\ud800":1}', r"Event.\ud800"),
        (r'["\ud800"]', "Event"),
        (r'"\ud800"', "Event"),
        ("1e999", "Event"),
    ],
)
async def test_an_event_that_cannot_be_stored_is_named(hub: RunningHub, event: str, field: str) -> None:
    """Half of a surrogate pair, NUL and numbers without bounds in Event are 400 with the field."""
    answer = await hub.client.post("/subscriptions/s/preview", content=f'{{"Event":{event}}}')

    assert answer.status_code == 400, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_previews_of_one_key_that_wait_are_bounded(hub: RunningHub) -> None:
    """With twenty that wait, whatever needs templates is 429 for their key; other keys, and what needs none, go on."""
    key = {"Name": "Previews", "Programs": ["*"], "Scopes": ["publish", "admin"]}
    made = (await hub.client.post("/keys", json=key)).json()
    caller, other = hub.client_with(made["Key"]), hub.client
    event = an_event_body()
    template = {"_default": {"ActivityType": "{{ event.EventId }}"}}
    with ExitStack() as held:
        for _ in range(MOST_PREVIEWS):
            held.enter_context(hub.preview_limit.hold(made["KeyId"]))
        requests = [
            ("POST", "/subscriptions/s/preview", {"Event": event}),
            ("POST", "/subscriptions/s/preview", {"Templates": template}),
            ("POST", "/events?ValidateOnly=true", event),
            ("PUT", "/subscriptions/s", a_subscription_body(Templates=template)),
            ("PATCH", "/subscriptions/s", {"Templates": template}),
        ]
        for method, path, body in requests:
            refused = await caller.request(method, path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_previews"), (method, path)
            assert refused.headers["Retry-After"]
        assert (await other.post("/subscriptions/s/preview", json={"Event": event})).status_code == 200
        assert (await caller.post("/events?ValidateOnly=true", json=event | {"EventType": "X"})).status_code == 200
        assert (await caller.post("/events", json=event)).status_code == 201
    assert (await caller.post("/subscriptions/s/preview", json={"Event": event})).status_code == 200
