"""What presets write into iMIS, into panels that have just the columns they are documented with."""

from __future__ import annotations

from typing import Any

import pytest
from dirty_equals import IsPartialDict
from imis_hub import ImisHub
from panels import BASIC

from learning_hub.presets import PRESETS

FILLED_BY_IMIS = {"CreatedOn", "UpdatedOn", "CreatedByUserKey", "UpdatedByUserKey"}


async def set_up(imis_hub: ImisHub, preset_id: str) -> dict[str, Any]:
    """A subscription as the preset says and nothing else; the sample event as it would be published."""
    await imis_hub.hub.make_program("NURSES")
    await imis_hub.put_subscriber()
    body = {"Preset": preset_id, "SubscriberId": "imis", "ProgramId": "NURSES"}
    answer = await imis_hub.client.put("/subscriptions/p", json=body)
    assert answer.status_code == 201, answer.text
    presets = (await imis_hub.client.get("/presets")).json()["Items"]
    return dict(next(preset for preset in presets if preset["PresetId"] == preset_id)["SampleEvent"])


async def panel_row(imis_hub: ImisHub, panel: str) -> dict[str, Any]:
    """The only row, without what iMIS fills."""
    (row,) = (await imis_hub.state())["Panels"][panel]
    return {name: value for name, value in row.items() if name not in FILLED_BY_IMIS}


async def test_openwater_fills_the_basic_fields(imis_hub: ImisHub) -> None:
    """The sample is a row with every basic field, found again by its key, and what is emptied is cleared."""
    await imis_hub.make_panel("lh_openwater", BASIC)
    sample = await set_up(imis_hub, "openwater-imis-panel")
    data = sample["PublisherEventData"]
    first = await imis_hub.publish(**sample | {"PublisherEventData": data | {"Units": "1.50"}})
    await imis_hub.delivered(first)

    row = await panel_row(imis_hub, "lh_openwater")
    key = row.pop("RecordKey")
    assert len(key) == 36
    assert row == {
        "ID": "10042",
        "Ordinal": 1,
        "EventId": first.removeprefix("/events/"),
        "SourceId": "OW:30021",
        "Participant": "robin.vale@example.org",
        "Category": "Fellowship",
        "EventType": "AI_COMP_SUCCESS",
        "EventStart": "2026-11-18T04:00:00",
        "EventEnd": "2026-11-20T10:20:00",
        "Title": "Fellowship in wound care",
        "Units": 1.5,
    }

    emptied = {"PublisherEventCategory": None, "EventEndUtc": None}
    second = await imis_hub.publish(**sample | emptied | {"PublisherEventData": data | {"Application Title": ""}})
    await imis_hub.delivered(second)

    assert await panel_row(imis_hub, "lh_openwater") == row | {
        "RecordKey": key,
        "EventId": second.removeprefix("/events/"),
        "Category": None,
        "EventEnd": None,
        "Title": None,
        "Units": None,
    }


@pytest.mark.parametrize("title", [{}, {"Application Title": None}, {"Application Title": "  "}], ids=str)
async def test_an_application_without_a_title(imis_hub: ImisHub, title: dict[str, Any]) -> None:
    """A title that is absent, null or blank leaves its column empty."""
    await imis_hub.make_panel("lh_openwater", BASIC)
    sample = await set_up(imis_hub, "openwater-imis-panel")

    await imis_hub.delivered(await imis_hub.publish(**sample | {"PublisherEventData": {"Status": "Draft", **title}}))

    assert (await panel_row(imis_hub, "lh_openwater"))["Title"] is None


async def test_topclass_fills_the_panel_of_the_source_document(imis_hub: ImisHub) -> None:
    """The sample test in progress is a row, and completed later it is the same row."""
    sample = await set_up(imis_hub, "topclass-imis-panel")
    await imis_hub.delivered(await imis_hub.publish(**sample))
    row = await panel_row(imis_hub, "TopClass_Learning")
    assert row == {
        "ID": "10042",
        "Ordinal": 1,
        "CourseCode": "FIRE-202",
        "Course": "Fire safety test",
        "CourseCompleted": None,
        "Units": None,
        "CreditType": None,
        "CEUType": None,
    }

    completed = {"Completion Date": "2026-11-20T15:20:00Z", "Credits": "1.30", "Credit Type Code": "CPD"}
    data = sample["PublisherEventData"] | completed
    await imis_hub.delivered(
        await imis_hub.publish(**sample | {"EventType": "AI_COMP_SUCCESS", "PublisherEventData": data})
    )

    assert await panel_row(imis_hub, "TopClass_Learning") == row | {
        "CourseCompleted": "2026-11-20T10:20:00",
        "Units": 1.3,
        "CEUType": "CPD",
    }


@pytest.mark.parametrize(
    ("preset_id", "numbers", "texts"),
    [
        (
            "topclass-imis-activity",
            {"Activity Code": 123, "Activity Title": 4.50, "Credit Type Code": 7},
            {"Subtype": "123", "Description": "4.5", "CeuType": "7"},
        ),
        (
            "topclass-imis-panel",
            {"Activity Code": 123, "Activity Title": 4.50, "Credit Type Code": 7, "Credit Type": True},
            {"CourseCode": "123", "Course": "4.5", "CEUType": "7", "CreditType": "true"},
        ),
        (
            "learningbuilder-imis-activity",
            {":ActivityId": 99, "Course Name": 4.50, "Contact Hours Designation": 7},
            {"Subtype": "99", "Description": "4.5", "NOTE": "7"},
        ),
        ("openwater-imis-panel", {"Application Title": 2031}, {"Title": "2031"}),
    ],
)
async def test_numbers_become_text_in_columns_of_text(
    imis_hub: ImisHub, preset_id: str, numbers: dict[str, Any], texts: dict[str, str]
) -> None:
    """A code or title that a publisher writes as a number is text at iMIS."""
    sample = await set_up(imis_hub, preset_id)
    event = sample | {"PublisherEventData": sample["PublisherEventData"] | numbers}

    shown = (await imis_hub.client.post("/subscriptions/p/preview", json={"Event": event})).json()

    assert shown["Payload"] == IsPartialDict(texts)


@pytest.mark.parametrize("preset_id", [name for name, preset in PRESETS.items() if preset.connector == "imis"])
async def test_texts_are_cut_to_their_columns(imis_hub: ImisHub, preset_id: str) -> None:
    """A sample whose every text is longer than any column becomes a record, and saving it gives no warning."""
    await imis_hub.make_panel("lh_openwater", BASIC)
    sample = await set_up(imis_hub, preset_id)
    data = {
        name: value + " \U0001f600" * 400 if isinstance(value, str) and name[-4:] not in ("Date", "nits") else value
        for name, value in sample["PublisherEventData"].items()
    }

    await imis_hub.delivered(await imis_hub.publish(**sample | {"PublisherEventData": data}))

    assert (
        "Warnings"
        not in (
            await imis_hub.client.put(
                "/subscriptions/p", json={"Preset": preset_id, "SubscriberId": "imis", "ProgramId": "NURSES"}
            )
        ).json()
    )


def test_which_presets_name_a_column_for_the_key() -> None:
    """The panel whose columns are the hub's own has one for the record key; that of the source document has none."""
    assert {preset_id: preset.target.get("KeyProperty") for preset_id, preset in PRESETS.items()} == {
        "learningbuilder-imis-activity": None,
        "learningbuilder-import": None,
        "openwater-imis-panel": "RecordKey",
        "topclass-imis-activity": None,
        "topclass-imis-panel": None,
    }
