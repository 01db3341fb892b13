"""Saving a subscription: its templates are held against the columns that the sandbox iMIS has now."""

from __future__ import annotations

from typing import Any

import pytest
from imis_hub import TEMPLATE, ImisHub
from panels import Columns
from running import eventually

from learning_hub.presets import PRESETS

COLUMNS: Columns = {
    "Code": {"Type": "String", "MaxLength": 10, "Required": True},
    "Title": 40,
    "Notes": {"Type": "String"},
    "Hours": "Decimal",
    "Fee": "Monetary",
    "Tries": "Integer",
    "Passed": "Boolean",
    "Done": "DateTime",
    "Day": {"Type": "DateTime", "DateTimeDataType": 1},
    "RecordKey": 36,
    "Short": 35,
}
TARGET = {"Kind": "panel", "Name": "lh_training", "KeyProperty": "recordkey"}
ROW = {"Code": "{{ data.Code | text: 10 }}"}
FIT = {
    "code": "FIRE-201",
    "TITLE": "{{ data['Activity Title'] | text: 40 }}",
    "Notes": "{{ data.Notes | text: 5000 }}",
    "Hours": "{{ data.Credits | decimal }}",
    "Fee": "12.50",
    "Tries": "{{ data.Tries | integer }}",
    "Passed": True,
    "Done": "{{ event.EventEndUtc | imis_datetime }}",
    "Day": "2031-03-14",
    "Short": {"$omit": "{{ data.Short | default: nil | text: 35 }}"},
}


@pytest.fixture
async def hub(imis_hub: ImisHub) -> ImisHub:
    """A hub, an iMIS as its subscriber, and there the panel source LH_Training."""
    await imis_hub.make_panel("LH_Training", COLUMNS)
    await imis_hub.hub.make_program("NURSES")
    await imis_hub.put_subscriber()
    return imis_hub


async def put(hub: ImisHub, status: int, subscription_id: str = "training", **changes: Any) -> dict[str, Any]:
    body = {
        "Name": "Training to iMIS",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": TARGET,
        "Templates": {"_default": ROW},
        **changes,
    }
    answer = await hub.client.put(f"/subscriptions/{subscription_id}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def refused(hub: ImisHub, **changes: Any) -> dict[str, str]:
    """What is wrong, by field."""
    return {error["field"]: error["message"] for error in (await put(hub, 400, **changes))["errors"]}


async def test_what_fits_is_saved_without_a_word(hub: ImisHub) -> None:
    """Values of every type that the columns take are saved, columns named in any case; so are nulls and empty texts."""
    cleared = {"Code": "X", **dict.fromkeys(("Title", "Hours", "Tries", "Done")), "Passed": "", "Day": ""}

    saved = await put(hub, 201, Templates={"A": FIT, "B": cleared, "C": None, "_default": ROW})

    assert "Warnings" not in saved
    assert "Warnings" not in await put(hub, 200, Templates={"_default": FIT})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Colour", "red", "LH_Training has no column Colour. It has Code, Title, "),
        ("Title", "x" * 41, "Title holds 40 characters, and this has 41."),
        ("Title", "{{ data.Title }} " + "x" * 40, "Title holds 40 characters, and this gives 41 or more."),
        ("Code", "{{ event.EventEndUtc | imis_datetime }}", "Code holds 10 characters, and this gives 23 or more."),
        ("Code", 12345678901, "Code holds 10 characters, and this has 11."),
        ("Code", None, "LH_Training requires a value here, and null is none."),
        ("Hours", "many", "Hours takes a number, and this is none."),
        ("Hours", True, "Hours takes a number, and this gives true or false."),
        ("Hours", "{{ event.EventEndUtc | imis_datetime }}", "Hours takes a number, and this gives a time."),
        ("Fee", "{{ data.Paid | boolean }}", "Fee takes a number, and this gives true or false."),
        ("Tries", "1.5", "Tries takes a whole number, and this is none."),
        ("Tries", 1.5, "Tries takes a whole number, and this gives a number with a fraction. The filter integer"),
        ("Tries", "{{ data.Tries | decimal }}", "Tries takes a whole number, and this gives a number with a fraction."),
        ("Passed", "perhaps", "Passed takes true or false, and this is none."),
        ("Passed", "{{ data.Passed | integer }}", "Passed takes true or false, and this gives a whole number."),
        ("Done", "next week", "Done takes a date or time, and this is none."),
        ("Done", 20310314, "Done takes a date or time, and this gives a whole number."),
        ("Day", "{{ data.Day | decimal }}", "Day takes a date or time, and this gives a number with a fraction."),
        ("Hours", {"$omit": "{{ data.Day | date }}"}, "Hours takes a number, and this gives a date."),
        ("Hours", 1e40, "iMIS holds numbers up to about 7.9e28, and this is beyond."),
        ("Hours", "79228162514264337593543950336", "iMIS holds numbers up to about 7.9e28, and this is beyond."),
        ("Fee", "{{ '-1e40' | decimal }}", "iMIS holds numbers up to about 7.9e28, and this is beyond."),
        ("Title", 79228162514264337593543950336, "iMIS holds numbers up to about 7.9e28, and this is beyond."),
        ("Tries", 99999999999999, "Tries takes whole numbers from -2147483648 to 2147483647, and this is beyond."),
        ("Tries", "2147483648", "Tries takes whole numbers from -2147483648 to 2147483647, and this is beyond."),
        ("Tries", "{{ -2147483649 }}", "Tries takes whole numbers from -2147483648 to 2147483647, and this is"),
        ("Tries", "{{ 1.5 }}", "Tries takes a whole number, and this gives a number with a fraction."),
        ("Hours", "{{ 'abc' | decimal }}", "decimal needs a number"),
        ("Hours", "{{ 'x' }} {{ 'y' }}", "Hours takes a number, and this is none."),
        ("Done", "{{ 'abc' }}", "Done takes a date or time, and this is none."),
        ("Done", {"$omit": "{{ 'abc' }}"}, "Done takes a date or time, and this is none."),
        ("Passed", "{{ 'per' | append: 'haps' }}", "Passed takes true or false, and this is none."),
        ("Code", "{{ nil }}", "LH_Training requires a value here, and null is none."),
        ("Notes", "{{ 'a,b' | split: ',' }}", "iMIS takes only single values here."),
    ],
)
async def test_what_can_never_work_is_refused(hub: ImisHub, name: str, value: Any, message: str) -> None:
    """Each is an error at its place in the templates, beside a template that fits."""
    errors = await refused(hub, Templates={"A.1": {"Code": "X", name: value}, "_default": FIT})

    assert list(errors) == [f"Templates.A.1.{name}"]
    assert errors[f"Templates.A.1.{name}"].startswith(message)


async def test_a_column_that_is_required_must_be_mapped(hub: ImisHub) -> None:
    """It is named for each template that lacks it; what iMIS or the hub fills, or has a default, need not be mapped."""
    columns = {
        "Code": {"Type": "String", "MaxLength": 10, "Required": True},
        "Title": {"Type": "String", "MaxLength": 40, "Required": True},
        "RecordKey": {"Type": "String", "MaxLength": 36, "Required": True},
    }
    await hub.make_panel("LH_Strict", columns)

    errors = await refused(
        hub,
        Target={"Kind": "panel", "Name": "LH_Strict", "KeyProperty": "RecordKey"},
        Templates={"A": {"Title": "x"}, "B": {"code": "x", "title": "y"}, "C": {}},
    )

    assert list(errors) == ["Templates.A.Code", "Templates.C.Code", "Templates.C.Title"]
    assert errors["Templates.A.Code"] == "LH_Strict requires a value here, and nothing is mapped."


async def test_all_that_is_wrong_is_told_at_once(hub: ImisHub) -> None:
    """What the hub sees by itself and what it learns from iMIS stand in one answer, nothing of it twice."""
    templates = {
        "A": {"ID": "1", "Nope": "x", "Title": "{{ data.x | nothing }}", "Code": "x", "code": "y"},
        "B": {"Code": ["x"], "CreatedOn": "x"},
    }

    errors = await refused(hub, Name="", Templates=templates)

    assert sorted(errors) == [
        "Name",
        "Templates.A.ID",
        "Templates.A.Nope",
        "Templates.A.Title",
        "Templates.A.code",
        "Templates.B.Code",
        "Templates.B.CreatedOn",
    ]


@pytest.mark.parametrize(
    ("broken", "field"),
    [(5, "Templates.Off"), ({"Code": "\0"}, "Templates.Off.Code"), ({"Code": "x" * 11}, "Templates.Off.Code")],
)
async def test_one_broken_template_hides_nothing_of_the_others(hub: ImisHub, broken: Any, field: str) -> None:
    """Structure, Liquid, and what the columns at iMIS do not take are reported together, for each template."""
    templates = {"Off": broken, "A": {"Code": "{{ data['x' }}"}, "B": {"Code": "x", "Nope": "x", "Hours": "many"}}

    errors = await refused(hub, Templates=templates, Schedule="never", Colour="red")

    assert sorted(errors) == sorted(
        ["Colour", "Schedule", "Templates.A.Code", "Templates.B.Hours", "Templates.B.Nope", field]
    )


async def test_a_broken_template_hides_nothing_of_the_others_with_a_preset(hub: ImisHub) -> None:
    """The preset's own templates are held against the target as well."""
    errors = await refused(
        hub,
        Preset="topclass-imis-panel",
        Templates={"Off": [], "A": {"Code": "{{ nobody }}"}},
    )

    assert {"Templates.Off", "Templates.A.Code"} <= set(errors)
    assert any(field.endswith(".CourseCompleted") for field in errors)


@pytest.mark.parametrize(
    ("key_property", "message"),
    [
        ("Nowhere", "LH_Training has no column Nowhere."),
        ("Hours", "Hours takes a number, and the hub's record key is text."),
        ("Short", "Short holds 35 characters, and the hub's record key has 36."),
        ("UpdatedByUserKey", "UpdatedByUserKey is filled by the hub or by iMIS."),
    ],
)
async def test_the_column_for_the_record_key_must_hold_it(hub: ImisHub, key_property: str, message: str) -> None:
    """One that is not there, holds no text, is too narrow or is filled by iMIS is refused where it is named."""
    errors = await refused(hub, Target=TARGET | {"KeyProperty": key_property})

    assert list(errors) == ["Target.KeyProperty"]
    assert errors["Target.KeyProperty"].startswith(message)
    assert "Warnings" not in await put(hub, 201, Target=TARGET | {"KeyProperty": "Notes"})


async def test_what_may_fail_is_a_warning(hub: ImisHub) -> None:
    """A text that may be longer than its column is saved, and told with its place and what to write."""
    saved = await put(hub, 201, Templates={"_default": {"Code": "{{ data.Code | text: 80 }}"}})

    (warning,) = saved["Warnings"]
    assert warning == (
        "Templates._default.Code: Code holds 10 characters, and this gives up to 80. iMIS refuses what is longer; "
        "text: 10 cuts it."
    )


@pytest.mark.parametrize(
    "leaf",
    [
        "{{ data.Code }}",
        "{{ data.Code | text }}",
        "A{{ data.Code }}",
        "{{ data.Code | upcase }}",
        "{{ data['a b'] | must_have }}",
    ],
)
async def test_a_text_without_a_limit_is_a_warning(hub: ImisHub, leaf: str) -> None:
    """A leaf that may be a text of any length is saved, and reported where its column has a limit."""
    saved = await put(hub, 201, Templates={"_default": {"Code": {"$omit": leaf}}})

    (warning,) = saved["Warnings"]
    assert warning == (
        "Templates._default.Code: Code holds 10 characters, and this has no limit. iMIS refuses what is longer; "
        "text: 10 cuts it."
    )


async def test_templates_of_activities(hub: ImisHub) -> None:
    """Labels and column names are held against the columns of activities; the type is asked for once."""
    activity: dict[str, Any] = {"Target": {"Kind": "activity"}}
    good = TEMPLATE | {
        "note": "{{ data.Note | text: 32000 }}",
        "EffectiveDate": "{{ event.EventEndUtc | imis_datetime }}",
    }
    assert "Warnings" not in await put(hub, 201, **activity, Templates={"_default": good})

    errors = await refused(
        hub,
        **activity,
        Templates={
            "A": {"ActivityType": "TOO LONG A TYPE", "units": "some", "RECURRING_REQUEST": 1},
            "B": {"EffectiveDate": "{{ data.Credits | decimal }}"},
        },
    )

    assert errors == {
        "Templates.A.ActivityType": "ACTIVITY_TYPE holds 10 characters, and this has 15.",
        "Templates.A.units": "UNITS takes a number, and this is none.",
        "Templates.A.RECURRING_REQUEST": "RECURRING_REQUEST takes true or false, and this gives a whole number.",
        "Templates.B.ActivityType": "An activity must have an ActivityType.",
        "Templates.B.EffectiveDate": "EFFECTIVE_DATE takes a date or time, and this gives a number with a fraction.",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Hours", 79228162514264337593543950335),
        ("Hours", "-79228162514264337593543950335"),
        ("Fee", "{{ '0.1234567890123456789012345678901234567890' | decimal }}"),
        ("Tries", 2147483647),
        ("Tries", "{{ -2147483648 }}"),
        ("Notes", "99999999999999999999999999999999999999999999"),
        ("Done", "{{ 'now' | imis_datetime }}"),
        ("Done", "{{ '2031-03-14' }}"),
        ("Done", "{{ data.Done | default: 'abc' }}"),
        ("Hours", "{{ data.Hours | default: 'many' | decimal }}"),
        ("Hours", "{% if data.Hours %}{{ data.Hours }}{% else %}{{ 'many' }}{% endif %}"),
        ("Hours", {"$omit": "{{ nil }}"}),
    ],
)
async def test_what_may_work_is_saved(hub: ImisHub, name: str, value: Any) -> None:
    """The last numbers that fit, constants that can be read, and whatever an event has a say in."""
    assert "Warnings" not in await put(hub, 201, Templates={"_default": {"Code": "X", name: value}})


async def test_an_activity_type_that_is_not_there_is_a_warning(hub: ImisHub) -> None:
    """It may be added later, so the subscription is saved; the answer says where, and what to click."""
    of_event = TEMPLATE | {"ActivityType": "{{ data.Type | text: 10 }}"}
    templates = {
        "A": TEMPLATE | {"ActivityType": "tclearning"},
        "B": TEMPLATE | {"ActivityType": "LHUB"},
        "C": {"ACTIVITY_TYPE": "{{ 'LH' | append: 'UB' }}"},
        "D": of_event,
        "E": None,
    }
    saved = await put(hub, 201, Target={"Kind": "activity"}, Templates=templates)

    told = (
        "There is no activity type LHUB now, and iMIS refuses records of it. In iMIS, go to Settings > Contacts > "
        "Activity types, select Add new activity type, and enter LHUB as its Type."
    )
    assert saved["Warnings"] == [f"Templates.B.ActivityType: {told}", f"Templates.C.ACTIVITY_TYPE: {told}"]
    asked = len(await hub.requests("/api/LegacyActivityType"))
    assert "Warnings" not in await put(hub, 200, Target={"Kind": "activity"}, Templates={"_default": of_event})
    assert len(await hub.requests("/api/LegacyActivityType")) == asked


@pytest.mark.parametrize("fault", ["501", "500", "503"])
async def test_activity_types_that_cannot_be_had_are_a_warning(hub: ImisHub, fault: str) -> None:
    """The templates are judged all the same, by the columns that were listed before."""
    await hub.fault(fault, Path="/api/LegacyActivityType")

    saved = await put(hub, 201, Target={"Kind": "activity"}, Templates={"_default": TEMPLATE})

    (warning,) = saved["Warnings"]
    assert warning.startswith(
        "The hub could not find out whether the activity type TCLEARNING is configured. The hub could"
    )
    bad = {"_default": TEMPLATE | {"Units": "many"}}
    assert list(await refused(hub, Target={"Kind": "activity"}, Templates=bad)) == ["Templates._default.Units"]


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.connector == "imis"])
async def test_each_preset_can_be_saved_at_a_site(hub: ImisHub, preset: str) -> None:
    """Each can be saved at a site as it is; a panel source that is still to be made is a warning."""
    body = {"Preset": preset, "SubscriberId": "imis", "ProgramId": "NURSES"}

    answer = await hub.client.put("/subscriptions/preset", json=body)

    assert answer.status_code == 201, answer.text
    warnings = answer.json().get("Warnings", [])
    assert [warning.partition(".")[0] for warning in warnings] == (
        ["iMIS has no panel source lh_openwater that the hub can see"] if preset == "openwater-imis-panel" else []
    )


async def test_a_panel_that_is_not_available_is_a_warning(hub: ImisHub) -> None:
    """The columns are judged all the same, and the warning says which box is to be ticked."""
    await hub.open_panel("LH_Training", is_open=False)

    saved = await put(hub, 201)
    assert "Available via the REST API" in saved["Warnings"][0]
    assert list(await refused(hub, Templates={"_default": ROW | {"Nope": "x"}})) == ["Templates._default.Nope"]


@pytest.mark.parametrize("fault", ["503", "429", "500", "cut-before", "rubbish", "403", "hold"])
async def test_a_site_that_cannot_be_asked_holds_nobody_up(hub: ImisHub, fault: str) -> None:
    """The subscription is saved as sent, after some seconds at most, with a warning why iMIS was not asked."""
    await hub.fault(fault, Path="/api")

    saved = await put(hub, 201, Templates={"_default": ROW | {"Nope": "x"}})

    (warning,) = saved["Warnings"]
    assert warning.startswith("The subscriber could not be asked whether the templates fit")
    assert (await hub.client.get("/subscribers/imis")).json()["Paused"] is None
    await hub.mend()
    assert list(await refused(hub, Templates={"_default": ROW | {"Nope": "x"}})) == ["Templates._default.Nope"]


async def test_what_the_hub_sees_by_itself_needs_no_site(hub: ImisHub) -> None:
    """While iMIS is away, a template that no site could take is refused all the same."""
    await hub.put_subscriber(BaseUrl="http://127.0.0.1:9")

    assert list(await refused(hub, Templates={"_default": {"ID": "1"}})) == ["Templates._default.ID"]
    assert len((await put(hub, 201))["Warnings"]) == 1


async def test_a_paused_subscriber_is_not_asked(hub: ImisHub) -> None:
    """One that refused the credentials gets no further sign-in from saving subscriptions, however often."""
    await put(hub, 201)
    await hub.change_password("changed")
    await hub.publish()

    async def paused() -> Any:
        return (await hub.client.get("/subscribers/imis")).json()["Paused"]

    pause = await eventually(paused)
    before = len(await hub.requests())
    for number in range(3):
        (warning,) = (await put(hub, 201, f"other{number}"))["Warnings"]
        assert pause["Message"] in warning
    assert len(await hub.requests()) == before


async def test_to_stop_works_whatever_became_of_the_panel(hub: ImisHub) -> None:
    """A subscription whose column is gone is stopped by a PUT of what it is; started again it is judged."""
    await put(hub, 201, Templates={"_default": ROW | {"Title": "x"}})
    await hub.reset()
    await hub.make_panel("LH_Training", {name: kind for name, kind in COLUMNS.items() if name != "Title"})
    before = len(await hub.requests())

    stopped = await put(hub, 200, Templates={"_default": ROW | {"Title": "x"}}, State="stopped")

    assert (stopped["State"], stopped.get("Warnings")) == ("stopped", None)
    assert len(await hub.requests()) == before
    changes: dict[str, Any] = {"Templates": {"_default": ROW | {"Title": "x"}}, "State": "started"}
    assert list(await refused(hub, **changes)) == ["Templates._default.Title"]


async def test_what_stays_stopped_is_judged_when_it_is_saved_again(hub: ImisHub) -> None:
    """What could not be asked before is reported when the same is saved again, as a warning: nothing new is refused."""
    unfit: dict[str, Any] = {"Templates": {"_default": ROW | {"Nope": "x"}}, "State": "stopped"}
    await hub.fault("503")
    (warning,) = (await put(hub, 201, **unfit))["Warnings"]
    assert "save the subscription again later" in warning
    await hub.mend()

    (warning,) = (await put(hub, 200, **unfit))["Warnings"]

    assert warning.startswith("Templates._default.Nope: ")
    assert list(await refused(hub, **(unfit | {"State": "started"}))) == ["Templates._default.Nope"]


async def test_an_archived_subscriber_is_not_asked(hub: ImisHub) -> None:
    """Nothing can be saved for it, and it gets no request."""
    await hub.client.delete("/subscribers/imis")
    before = len(await hub.requests())

    assert list(await refused(hub)) == ["SubscriberId"]
    assert len(await hub.requests()) == before


async def test_columns_without_types_are_judged_by_their_names(hub: ImisHub) -> None:
    """Where only a row shows the names of the columns, an unknown one is refused and no type is."""
    await put(hub, 201)
    await hub.delivered(await hub.publish(PublisherEventData={"Code": "X"}))
    await hub.fault("501", Path="/api/BOEntityDefinition")
    await hub.fault("501", Path="/api/metadata")

    saved = await put(hub, 200, Templates={"_default": ROW | {"Hours": "many"}})

    assert "types and lengths are not known" in saved["Warnings"][0]
    assert list(await refused(hub, Templates={"_default": ROW | {"Nope": "x"}})) == ["Templates._default.Nope"]


async def test_a_preview_asks_nobody(hub: ImisHub) -> None:
    """Templates that are only looked at are not held against the site: a preview connects to nothing."""
    await put(hub, 201)
    event = await hub.publish(PublisherEventData={"Code": "X"})
    await hub.delivered(event)
    before = len(await hub.requests())
    body = {"EventId": event.removeprefix("/events/"), "Templates": {"_default": {"Nope": "x"}}}

    shown = (await hub.client.post("/subscriptions/training/preview", json=body)).json()

    assert shown["Payload"] == {"Nope": "x"}
    assert len(await hub.requests()) == before
