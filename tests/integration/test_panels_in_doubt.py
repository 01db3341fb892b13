"""Making panel sources at an iMIS that does otherwise, fails, or is asked by several at once."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from panel_hub import BASIC_NAMES, PanelHub, said

from learning_hub.settings import Settings


@pytest.fixture
async def panel_hub(imis_hub: ImisHub) -> PanelHub:
    """A hub with a Program, and the sandbox as a subscriber without subscriptions."""
    return await PanelHub.of(imis_hub)


@pytest.mark.parametrize("keys", ["add", "refuse", "own"])
async def test_keys_are_as_imis_wants_them(panel_hub: PanelHub, keys: str) -> None:
    """Whether iMIS adds the keys of a new source, wants them, or refuses them, the source is made."""
    await panel_hub.switch(DefinitionKeys=keys)
    made = await panel_hub.ask(201)
    assert made["Added"] == BASIC_NAMES


async def test_what_is_dropped_in_silence_is_told(panel_hub: PanelHub) -> None:
    """Where iMIS says yes and adds nothing, the answer names what is missing, and maps only what is there."""
    await panel_hub.make_panel("lh_completions", {"Title": 100})
    await panel_hub.switch(DefinitionChanges="drop")

    found = await panel_hub.ask(200, Fields=[{"Name": "Title", "Length": 200}, "Grade"])

    assert found["Added"] == []
    assert "did not add RecordKey (text, 40), Grade (text, 400)" in said(found)
    assert "did not widen Title to 200" in said(found)
    assert "matched by their values" in said(found)
    assert found["Subscription"]["Target"] == {"Kind": "panel", "Name": "lh_completions"}
    assert list(found["Subscription"]["Templates"]["_default"]) == ["Title"]
    assert await panel_hub.definition_writes() == ["POST", "PUT"]


async def test_fields_are_flagged_read_only_where_imis_can(panel_hub: PanelHub) -> None:
    """Fields that are added are flagged, unless the request says otherwise; a site that drops the flag is found out."""
    await panel_hub.ask(201, Fields=["Title"])
    await panel_hub.ask(200, Fields=["Note"], ReadOnly=False)
    properties = (await panel_hub.definition())["Properties"]["$values"]
    flags = {one["Name"]: one.get("IsReadOnly", False) for one in properties}
    assert (flags["RecordKey"], flags["Title"], flags["Note"], flags["ID"]) == (True, True, False, False)

    await panel_hub.switch(ReadOnlyFlags="drop")
    told = await panel_hub.ask(200, Fields=["Title", "Grade"])
    assert "did not keep the flag Read Only of Grade." in said(told)


@pytest.mark.parametrize(("fault", "calls"), [("cut-after", ["POST"]), ("cut-before", ["POST", "POST"])])
async def test_a_lost_answer_is_settled_by_reading(panel_hub: PanelHub, fault: str, calls: list[str]) -> None:
    """A line that is cut while a source is made leaves one source, made by this request, and no doubt."""
    await panel_hub.fault(fault, Method="POST", Path="/api/BOEntityDefinition", Times=1)
    made = await panel_hub.ask(201)
    assert made["Added"] == BASIC_NAMES
    assert await panel_hub.definition_writes() == calls


async def test_a_lost_answer_to_an_extension_is_settled_by_reading(panel_hub: PanelHub) -> None:
    """The same where fields are added."""
    await panel_hub.ask(201)
    await panel_hub.fault("cut-after", Method="PUT", Path="/api/BOEntityDefinition", Times=1)
    assert (await panel_hub.ask(200, Fields=["Grade"]))["Added"] == ["Grade"]
    assert await panel_hub.definition_writes() == ["POST", "PUT"]


async def test_lines_that_stay_cut_are_told(panel_hub: PanelHub) -> None:
    """Where no answer ever comes the hub gives up after a few tries, and says that asking again is safe."""
    await panel_hub.fault("cut-before", Method="POST", Path="/api/BOEntityDefinition")
    away = await panel_hub.ask(409)
    assert (away["code"], "safe" in away["detail"]) == ("subscriber_away", True)
    await panel_hub.mend()
    await panel_hub.ask(201)


@pytest.mark.parametrize(("method", "fault"), [("POST", "501"), ("POST", "403"), ("GET", "501"), ("GET", "403")])
async def test_a_site_that_refuses_definitions_is_told(panel_hub: PanelHub, method: str, fault: str) -> None:
    """409 with the words of iMIS, and where it was to be made, what to make by hand."""
    await panel_hub.fault(fault, Method=method, Path="/api/BOEntityDefinition")
    refused = await panel_hub.ask(409)
    assert refused["code"] == "subscriber_refused"
    assert fault in refused["detail"]
    if method == "POST":
        assert "RecordKey (text, 40), EventId (text, 400)" in refused["detail"]


async def test_how_long_imis_asks_to_wait_is_told(panel_hub: PanelHub) -> None:
    """Whoever sets up reads it in the answer, in its Retry-After, and in what a check and the targets say."""
    await panel_hub.fault("429", RetryAfter=90, Times=20)
    body = json.dumps({"Name": "lh_completions"})
    for method, path in (("POST", "panels"), ("GET", "targets"), ("GET", "targets/lh_completions/fields")):
        answer = await panel_hub.client.request(
            method, f"/subscribers/imis/{path}", content=body if method == "POST" else None
        )
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "90"), answer.text
        assert "It asks to wait 90 seconds." in answer.json()["detail"]
    checked = (await panel_hub.client.post("/subscribers/imis/check")).json()
    assert "It asks to wait 90 seconds." in checked["Details"][-1]["Message"]


@pytest.mark.parametrize("fault", ["503", "429", "500", "rubbish"])
async def test_a_site_that_is_away_is_told(panel_hub: PanelHub, fault: str) -> None:
    """409 with how it failed; once it is back, the same request makes the panel."""
    await panel_hub.fault(fault, Path="/api/BOEntityDefinition")
    assert (await panel_hub.ask(409))["code"] == "subscriber_away"
    await panel_hub.mend()
    await panel_hub.ask(201)


async def test_rows_that_cannot_be_tried_are_told(panel_hub: PanelHub) -> None:
    """Where only the look at its rows fails, the panel is made, and whether it is open is not known."""
    await panel_hub.fault("503", Path="/api/lh_completions")
    made = await panel_hub.ask(201)
    assert made["RowsReadable"] is None
    assert "is not known" in said(made)


async def test_a_refused_sign_in_is_told(panel_hub: PanelHub) -> None:
    """A wrong password is 409 with the words of iMIS."""
    await panel_hub.put_subscriber(password="wrong")
    assert (await panel_hub.ask(409))["code"] == "subscriber_refused"


async def test_a_paused_subscriber_is_not_asked_for_panels(panel_hub: PanelHub) -> None:
    """While it is paused the answer is 409 with the reason, and iMIS hears nothing."""
    await panel_hub.hub.database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, probe_seconds) "
        "VALUES ('imis', 'credentials_refused', 'refused', 'iMIS refused the sign-in.', 5)"
    )
    before = len(await panel_hub.requests())
    assert (await panel_hub.ask(409))["code"] == "subscriber_paused"
    assert len(await panel_hub.requests()) == before


async def test_two_at_once_end_in_one_panel(panel_hub: PanelHub) -> None:
    """Eight callers with fields of their own: one makes it, the others add theirs, and none is lost."""
    await panel_hub.fault("slow", Method="POST", Path="/api/BOEntityDefinition", Seconds=0.3)
    bodies = [{"Name": "lh_completions", "Fields": [f"Grade{number}"], "ProgramId": "NURSES"} for number in range(8)]

    answers = await asyncio.gather(*(panel_hub.client.post("/subscribers/imis/panels", json=body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert set(await panel_hub.widths()) == {"RecordKey", *(f"Grade{number}" for number in range(8))}
    assert await panel_hub.definition_writes() == ["POST"] + ["PUT"] * 7
    assert len((await panel_hub.client.get("/subscriptions")).json()["Items"]) == 1


async def test_somebody_else_makes_it_in_the_same_moment(panel_hub: PanelHub) -> None:
    """A source that appears while the hub makes it is extended, and not taken for the hub's own."""
    await panel_hub.fault("late", Method="POST", Path="/api/BOEntityDefinition", Seconds=1, Times=1)
    asked = asyncio.create_task(panel_hub.ask(200, Fields=["Grade"]))
    await asyncio.sleep(0.4)
    await panel_hub.make_panel("lh_completions", {"Code": 20})
    assert (await asked)["Added"] == ["RecordKey", "Grade"]
    assert await panel_hub.widths() == {"Code": 20, "RecordKey": 40, "Grade": 400}


class TestAnImpatientHub:
    """With another limit for what a request waits for."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, run_wait_seconds=2)

    async def test_a_site_that_says_nothing_holds_nobody_up(self, panel_hub: PanelHub) -> None:
        """However many ask at once, none waits longer than the hub waits for anything, its turn included."""
        await panel_hub.fault("hold", Path="/api/")
        began = time.monotonic()
        answers = await asyncio.gather(*(panel_hub.ask(409, Name=f"lh_{number}") for number in range(4)))
        assert time.monotonic() - began < 20
        assert {answer["code"] for answer in answers} == {"subscriber_away"}
