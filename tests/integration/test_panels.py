"""Making panel sources at the sandbox iMIS, adding fields to them, and filling them."""

from __future__ import annotations

from typing import Any

import pytest
from factories import an_event_body
from imis_hub import ImisHub
from msgspec.structs import replace
from panel_hub import BASIC_NAMES, PanelHub, said
from running import running_hub

from learning_hub.settings import Settings

DATA = {"Activity Title": "Fire safety refresher", "Activity Code": "FIRE-201", "Credits": "1.50"}


@pytest.fixture
async def panel_hub(imis_hub: ImisHub) -> PanelHub:
    """A hub with a Program, and the sandbox as a subscriber without subscriptions."""
    return await PanelHub.of(imis_hub)


async def test_a_panel_with_the_basic_fields_is_made(panel_hub: PanelHub) -> None:
    """It is multi-instance, of contacts, has the basic fields and the record key; iMIS and the answer agree."""
    answer = await panel_hub.client.post("/subscribers/imis/panels", json={"Name": "lh_completions"})

    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "/subscribers/imis/targets/lh_completions/fields"
    made = answer.json()
    assert [field["Name"] for field in made["Fields"]] == made["Added"] == BASIC_NAMES
    assert (made["Name"], made["SubscriptionId"]) == ("lh_completions", None)
    there = await panel_hub.definition()
    assert (there["ObjectTypeName"], there["PrimaryParentEntityTypeName"]) == ("Multi", "Party")
    assert await panel_hub.widths() == {
        "RecordKey": 40, "EventId": 400, "SourceId": 400, "Participant": 400, "Category": 400, "EventType": 400,
        "EventStart": "date", "EventEnd": "date", "Title": 400, "Units": "decimal",
    }  # fmt: skip


async def test_named_fields_have_the_types_and_lengths_asked_for(panel_hub: PanelHub) -> None:
    """A name is a text of 400; an object says more; the record key is added by itself, or as wide as it is named."""
    fields = [
        "Course", {"Name": "Code", "Length": 20}, {"Name": "Score", "Type": "integer"},
        {"Name": "Fee", "Type": "decimal"}, {"Name": "Done", "Type": "date"}, {"Name": "Passed", "Type": "boolean"},
        {"Name": "recordkey", "Length": 50},
    ]  # fmt: skip
    made = await panel_hub.ask(201, Fields=fields)

    assert await panel_hub.widths() == {
        "recordkey": 50, "Course": 400, "Code": 20, "Score": "integer", "Fee": "decimal", "Done": "date",
        "Passed": "boolean",
    }  # fmt: skip
    assert made["Subscription"]["Target"]["KeyProperty"] == "recordkey"
    assert list(made["Subscription"]["Templates"]["_default"]) == ["Course", "Code", "Score", "Fee", "Done", "Passed"]


async def test_the_box_that_only_a_person_can_tick_is_told(panel_hub: PanelHub) -> None:
    """Until it is ticked the answer says what to click; then the same request says that rows can be read."""
    made = await panel_hub.ask(201)
    assert made["RowsReadable"] is False
    assert "tick Available via the REST API on its Security tab" in said(made)
    assert (await panel_hub.requests("/api/lh_completions"))[-1]["Query"] == "limit=1"

    await panel_hub.open_panel("lh_completions")
    again = await panel_hub.ask(200)
    assert (again["RowsReadable"], again["Added"]) == (True, [])
    assert "nothing is to be done in iMIS" in said(again)


@pytest.mark.parametrize("status", [404, 501, 403])
async def test_a_closed_source_is_told_however_imis_says_it(panel_hub: PanelHub, status: int) -> None:
    """404, 501 and 403 for its rows all mean that the box is not ticked."""
    await panel_hub.switch(ClosedPanel=status)
    assert (await panel_hub.ask(201))["RowsReadable"] is False


async def test_events_arrive_in_the_panel(panel_hub: PanelHub) -> None:
    """Panel and subscription in one request, a click in iMIS, a start: an event is a row, and its revision the same."""
    made = await panel_hub.ask(201, ProgramId="NURSES", SubscriptionId="to-imis")
    assert made["SubscriptionId"] == "to-imis"
    stored = (await panel_hub.client.get("/subscriptions/to-imis")).json()
    assert {name: stored[name] for name in made["Subscription"]} == made["Subscription"]
    assert stored["State"] == "stopped"
    location = await panel_hub.publish(PublisherEventData=DATA)
    await panel_hub.settled(location, "waiting")

    await panel_hub.open_panel("lh_completions")
    await panel_hub.put("/subscriptions/to-imis", made["Subscription"] | {"State": "started"})

    await panel_hub.delivered(location)
    (row,) = (await panel_hub.state())["Panels"]["lh_completions"]
    event = an_event_body()
    assert (row["EventId"], row["SourceId"]) == (location.rpartition("/")[2], event["PublisherEventId"])
    assert (row["Participant"], row["EventType"]) == (event["PublisherParticipantId"], event["EventType"])
    assert (row["Title"], float(row["Units"]), len(row["RecordKey"])) == ("Fire safety refresher", 1.5, 36)
    assert row["EventStart"]
    revised = await panel_hub.publish(PublisherEventData=DATA | {"Credits": 2})
    await panel_hub.delivered(revised)
    (row,) = (await panel_hub.state())["Panels"]["lh_completions"]
    assert float(row["Units"]) == 2


async def test_named_fields_are_filled_from_the_data(panel_hub: PanelHub) -> None:
    """A field that is none of the basic ones takes what is called so in the data; what is absent is null."""
    types = {"Score": "integer", "Fee": "decimal", "Done": "date", "Passed": "boolean", "Resat": "boolean"}
    fields = ["Title", {"Name": "Code", "Length": 4}, *({"Name": name, "Type": kind} for name, kind in types.items())]
    made = await panel_hub.ask(201, Fields=fields, ProgramId="NURSES")
    await panel_hub.open_panel("lh_completions")
    await panel_hub.put("/subscriptions/lh_completions", made["Subscription"] | {"State": "started"})
    data = {"Course Name": "Triage", "Code": "FIRE-201", "Score": 7, "Done": "2026-11-20T15:20:00Z", "Passed": False}

    await panel_hub.delivered(await panel_hub.publish(PublisherEventData=data))

    (row,) = (await panel_hub.state())["Panels"]["lh_completions"]
    assert (row["Title"], row["Code"], row["Score"], row["Fee"]) == ("Triage", "FIRE", 7, None)
    assert (row["Done"], row["Passed"], row["Resat"]) == ("2026-11-20T10:20:00", False, None)


async def test_the_subscription_can_be_put_as_it_is(panel_hub: PanelHub) -> None:
    """Without a ProgramId none is made; the body has the one Program there is, and none where there are several."""
    made = await panel_hub.ask(201)
    assert (await panel_hub.client.get("/subscriptions")).json()["Items"] == []
    await panel_hub.hub.make_program("DOCTORS")
    other = await panel_hub.ask(201, Name="lh_other")
    assert other["Subscription"]["ProgramId"] is None
    assert "name the Program, and send the same again" in said(other)

    await panel_hub.put("/subscriptions/mine", made["Subscription"] | {"State": "started"})
    stored = (await panel_hub.client.get("/subscriptions/mine")).json()
    again = await panel_hub.ask(200)
    assert again["SubscriptionId"] == "mine"
    await panel_hub.put("/subscriptions/mine", again["Subscription"])
    assert (await panel_hub.client.get("/subscriptions/mine")).json() == stored


async def test_a_panel_is_filled_by_one_subscription(panel_hub: PanelHub) -> None:
    """Named in another case, and with a field more, it makes no second one; the answer says how to add what is new."""
    await panel_hub.ask(201, ProgramId="NURSES")
    await panel_hub.client.post("/subscriptions/lh_completions/run")
    stored = (await panel_hub.client.get("/subscriptions/lh_completions")).json()

    again = await panel_hub.ask(200, Name="lh_COMPLETIONS", Fields=["Grade"], ProgramId="NURSES")

    assert again["SubscriptionId"] == "lh_completions"
    assert "To fill Grade as well" in said(again)
    assert len((await panel_hub.client.get("/subscriptions")).json()["Items"]) == 1
    await panel_hub.put("/subscriptions/lh_completions", again["Subscription"])
    now = (await panel_hub.client.get("/subscriptions/lh_completions")).json()
    templates = now["Templates"]["_default"]
    assert templates == stored["Templates"]["_default"] | {"Grade": templates["Grade"]}
    assert now["State"] == stored["State"]


async def test_long_names_that_begin_alike_have_a_subscription_each(panel_hub: PanelHub) -> None:
    """An id is shorter than a name may be; where it is taken by another panel's the next one is."""
    first, second = [
        await panel_hub.ask(201, Name=f"lh_learning_completions_{year}", ProgramId="NURSES") for year in (2025, 2026)
    ]
    assert (first["SubscriptionId"], second["SubscriptionId"]) == (
        "lh_learning_completions_2",
        "lh_learning_completions-2",
    )
    assert "was made, stopped" in said(second)


@pytest.mark.parametrize("name", ["Person", "party", "BOEntityDefinition", "Activity"])
async def test_entities_of_imis_are_no_panels(panel_hub: PanelHub, name: str) -> None:
    """What answers as a source does and would take contacts or definitions is refused where it is named."""
    body = (await panel_hub.ask(201))["Subscription"] | {"Target": {"Kind": "panel", "Name": name}}
    answer = await panel_hub.client.put("/subscriptions/mine", json=body)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (400, ["Target.Name"])
    if name != "Activity":
        assert (await panel_hub.client.get(f"/subscribers/imis/targets/{name}/fields")).status_code == 404


async def test_the_same_again_changes_nothing(panel_hub: PanelHub) -> None:
    """Nothing is written at iMIS, the subscription stays as it is, and the audit log has one entry for each."""
    await panel_hub.ask(201, ProgramId="NURSES")
    before = await panel_hub.definition()
    await panel_hub.client.delete("/subscriptions/lh_completions")

    again = await panel_hub.ask(200, ProgramId="NURSES")

    assert await panel_hub.definition() == before
    assert await panel_hub.definition_writes() == ["POST"]
    assert "is archived, and stays so" in said(again)
    entries = (await panel_hub.client.get("/audit", params={"ObjectType": "panel"})).json()["Items"]
    assert [(one["Action"], one["ObjectId"], one["Before"]) for one in entries] == [
        ("create", "imis/lh_completions", None)
    ]
    assert [field["Name"] for field in entries[0]["After"]["Fields"]] == BASIC_NAMES


async def test_fields_are_added_and_nothing_is_taken_away(panel_hub: PanelHub) -> None:
    """Fields that are there stay as they are, also wider or by hand; texts are widened where a Length says so."""
    by_hand = {"RecordKey": 36, "Title": 100, "Code": 20, "Note": 900}
    await panel_hub.make_panel("lh_Completions", by_hand)

    fields = ["title", {"Name": "Code", "Length": 30}, {"Name": "Note", "Length": 50}, "Grade"]
    extended = await panel_hub.ask(200, Fields=fields)

    assert (extended["Name"], extended["Added"]) == ("lh_Completions", ["Grade"])
    assert await panel_hub.widths() == by_hand | {"Code": 30, "Grade": 400}
    assert "added Grade (text, 400) and widened Code to 30" in said(extended)
    template = extended["Subscription"]["Templates"]["_default"]
    assert list(template) == ["Title", "Code", "Note", "Grade"]
    assert "text: 100" in template["Title"]
    (entry, *_) = (await panel_hub.client.get("/audit", params={"ObjectType": "panel"})).json()["Items"]
    assert (entry["Action"], len(entry["Before"]["Fields"]), len(entry["After"]["Fields"])) == ("update", 4, 5)


async def test_what_the_hub_does_not_know_of_a_definition_stays(panel_hub: PanelHub) -> None:
    """A PUT has the whole definition, unknown members as they came."""
    await panel_hub.make_panel("lh_completions", {"Done": "DateTime", "Fee": "Monetary"})
    before = await panel_hub.definition()
    await panel_hub.ask(200, Fields=["Grade"])
    put = (await panel_hub.requests("/api/BOEntityDefinition"))[-2]["Body"]
    assert before["Properties"]["$values"] == put["Properties"]["$values"][: len(before["Properties"]["$values"])]
    assert {name: put[name] for name in before if name != "Properties"} == {
        name: before[name] for name in before if name != "Properties"
    }


async def test_every_bad_field_is_named_at_once(panel_hub: PanelHub) -> None:
    """Names, types, lengths, repetitions and a Program that is not there, in one answer; iMIS hears nothing."""
    fields = [
        "2nd", "Good", "good", "Select", "Ordinal", "Two words", {"Name": "A", "Type": "money"},
        {"Name": "B", "Type": "date", "Length": 3}, {"Name": "C", "Length": 0}, {"Title": "D"}, 7, "",
        {"Name": "RecordKey", "Length": 20}, "a" * 61, {"Name": "9th", "Type": "money"}, "\0",
    ]  # fmt: skip
    body = {"Name": "my_panel", "Fields": fields, "ProgramId": "UNKNOWN", "SubscriptionId": "no id!", "Extra": 1}
    answer = await panel_hub.ask(400, **body)

    assert sorted(error["field"] for error in answer["errors"]) == sorted([
        "Extra", "Name", "ProgramId", "SubscriptionId", "Fields[0]", "Fields[2]", "Fields[3]", "Fields[4]",
        "Fields[5]", "Fields[6].Type", "Fields[7].Length", "Fields[8].Length", "Fields[9].Name", "Fields[9].Title",
        "Fields[10]", "Fields[11].Name", "Fields[12]", "Fields[13].Name", "Fields[14]", "Fields[14].Type", "Fields[15]",
    ])  # fmt: skip
    messages = {error["field"]: error["message"] for error in answer["errors"]}
    assert "LEARNING_HUB_PANEL_PREFIX" in messages["Name"]
    assert messages["Fields[3]"] == "Select must not be a reserved word of SQL"
    assert "as Good" in messages["Fields[2]"]
    assert await panel_hub.requests("/api/BOEntityDefinition") == []


@pytest.mark.parametrize("body", [
    {"Name": None}, {"Name": "lh_a b"}, {"Name": "lh_" + "x" * 60}, {"Name": "lh_ä"}, {"Name": ""}, {"Name": 5},
    {"Fields": []}, {"Fields": "all"}, {"Fields": {}}, {"Fields": ["x"] * 201}, {"Fields": [["x"]]},
    {"Name": "lh_"}, {"SubscriptionId": "x"}, {"ReadOnly": "yes"}, {"Fields": ["\ud800"]}, {"Name": "lh_\0"},
])  # fmt: skip
async def test_a_bad_body_is_refused(panel_hub: PanelHub, body: dict[str, Any]) -> None:
    """400, with the field named."""
    assert (await panel_hub.ask(400, **body))["errors"]


class TestWithAnotherPrefix:
    """Where the operator has set another beginning of names."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, panel_prefix="Hub_")

    async def test_the_operator_says_how_names_begin(self, panel_hub: PanelHub) -> None:
        """Only names with that beginning are taken; the error names it and the setting."""
        (error,) = (await panel_hub.ask(400))["errors"]
        assert (error["field"], "Hub_" in error["message"]) == ("Name", True)
        await panel_hub.ask(201, Name="Hub_completions")

    async def test_a_panel_made_under_an_earlier_prefix_can_be_extended(self, panel_hub: PanelHub) -> None:
        """What the hub made itself keeps its name; what others made under that prefix is refused as any other."""
        hub = panel_hub.hub
        async with running_hub(replace(hub.settings, panel_prefix="lh_"), hub.database, with_worker=False) as earlier:
            made = await earlier.client.post("/subscribers/imis/panels", json={"Name": "lh_completions"})
            assert made.status_code == 201, made.text
        await panel_hub.make_panel("lh_of_others", {"Title": 10})

        answer = await panel_hub.ask(200, Name="LH_Completions", Fields=["Grade"])

        assert (answer["Name"], answer["Added"]) == ("lh_completions", ["Grade"])
        (error,) = (await panel_hub.ask(400, Name="lh_of_others"))["errors"]
        assert "LEARNING_HUB_PANEL_PREFIX" in error["message"]


async def test_what_does_not_fit_is_a_conflict(panel_hub: PanelHub) -> None:
    """A source with one row a contact, and fields of other types, all named; nothing is changed."""
    await panel_hub.make_panel("lh_single", {"Title": 10}, object_type="Single")
    await panel_hub.make_panel("lh_completions", {"Title": "Decimal", "Units": 40, "RecordKey": 36})
    before = await panel_hub.definition()

    single = await panel_hub.ask(409, Name="lh_single")
    other = await panel_hub.ask(409, Fields="basic")

    assert (single["code"], other["code"]) == ("panel_differs", "panel_differs")
    assert "single-instance" in single["detail"]
    assert "Choose another name, or ask for what is there" in single["detail"]
    assert "Title is decimal, not text" in other["detail"]
    assert "Units is text, not decimal" in other["detail"]
    assert await panel_hub.definition() == before


async def test_a_subscription_of_others_is_not_taken(panel_hub: PanelHub) -> None:
    """One of that id for another Program is 409 before anything is made; one that goes elsewhere is left, and told."""
    await panel_hub.hub.make_program("DOCTORS")
    await panel_hub.put_subscription("mine", ProgramId="DOCTORS")
    await panel_hub.put_subscription("elsewhere")

    before = await panel_hub.requests("/api/BOEntityDefinition")

    refused = await panel_hub.ask(409, ProgramId="NURSES", SubscriptionId="mine")

    assert refused["code"] == "subscription_fixed"
    assert await panel_hub.requests("/api/BOEntityDefinition") == before
    made = await panel_hub.ask(201, ProgramId="NURSES", SubscriptionId="elsewhere")
    assert "it has another target" in said(made)
    assert (await panel_hub.client.get("/subscriptions/elsewhere")).json()["Target"] == {"Kind": "activity"}


async def test_who_may_make_panels(panel_hub: PanelHub) -> None:
    """Only `admin`; a subscriber that is not there or archived is 404, one of another kind 400."""
    client = await panel_hub.hub.caller("staff", "process", programs=["NURSES"])
    body = {"Name": "lh_completions"}
    assert (await client.post("/subscribers/imis/panels", json=body)).status_code == 403
    admin = panel_hub.client
    assert (await admin.post("/subscribers/other/panels", json=body)).status_code == 404
    hook = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hook.example.org/in"}}
    await panel_hub.put("/subscribers/hook", hook)
    other = await admin.post("/subscribers/hook/panels", json=body)
    assert (other.status_code, other.json()["code"]) == (400, "not_supported")
    await admin.delete("/subscribers/imis")
    assert (await admin.post("/subscribers/imis/panels", json=body)).status_code == 404
