"""Where records can land at a subscriber, over HTTP: asked of the sandbox iMIS each time."""

from __future__ import annotations

from typing import Any

import pytest
from factories import a_subscriber_body
from imis_hub import ImisHub
from msgspec.structs import replace
from running import RunningHub, eventually, running_hub

from learning_hub.settings import Settings

TARGETS = "/subscribers/imis/targets"
FIELDS = f"{TARGETS}/TopClass_Learning/fields"


async def get(imis_hub: ImisHub, path: str, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = await imis_hub.client.get(path, params=query)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_targets_and_their_fields(imis_hub: ImisHub) -> None:
    """The list names activities and panel sources; the fields of each are there under its name in any case."""
    await imis_hub.put_subscriber()

    listed = await get(imis_hub, TARGETS)

    assert [(one["Name"], one["Kind"]) for one in listed["Items"]] == [
        ("Activity", "activity"),
        ("TopClass_Learning", "panel"),
    ]
    assert (listed["Warnings"], listed["NextCursor"]) == ([], None)
    fields = await get(imis_hub, f"{TARGETS}/topclass_learning/fields")
    assert fields["Target"] == listed["Items"][1]
    assert (fields["RowsReadable"], fields["Warnings"], fields["NextCursor"]) == (True, [], None)
    (code,) = [field for field in fields["Items"] if field["Name"] == "CourseCode"]
    assert code == {
        "Name": "CourseCode",
        "Label": None,
        "Type": "String",
        "Length": 80,
        "Required": False,
        "Default": None,
        "ReadOnly": False,
        "FilledBy": None,
        "Caption": "Course code",
        "Description": None,
    }
    activity = {field["Name"]: field for field in (await get(imis_hub, f"{TARGETS}/ACTIVITY/fields"))["Items"]}
    assert (activity["ACTIVITY_TYPE"]["Required"], activity["UF_3"]["FilledBy"]) == (True, "hub")


async def test_each_time_the_subscriber_is_asked(imis_hub: ImisHub) -> None:
    """A source, and a column of it, that was made at iMIS a moment ago is there."""
    await imis_hub.put_subscriber()
    assert len((await get(imis_hub, TARGETS))["Items"]) == 2
    await get(imis_hub, f"{TARGETS}/LH_New/fields", 404)

    await imis_hub.make_panel("LH_New", {"Title": 60})

    assert "LH_New" in [one["Name"] for one in (await get(imis_hub, TARGETS))["Items"]]
    assert "Title" in [one["Name"] for one in (await get(imis_hub, f"{TARGETS}/lh_new/fields"))["Items"]]


async def test_long_lists_come_in_pages(imis_hub: ImisHub) -> None:
    """With a Limit and the Cursor of the page before, every target and every field comes once, in order."""
    await imis_hub.put_subscriber()
    names = [f"LH_{number:03}" for number in range(120)]
    await imis_hub.make_panels(names, {f"Column{number}": 40 for number in range(7)})

    for path, limit in ((TARGETS, 50), (f"{TARGETS}/LH_007/fields", 4)):
        whole = [one["Name"] for one in (await get(imis_hub, path, Limit=1000))["Items"]]
        found: list[str] = []
        query: dict[str, Any] = {"Limit": limit}
        while True:
            page = await get(imis_hub, path, **query)
            found += [one["Name"] for one in page["Items"]]
            if page["NextCursor"] is None:
                break
            assert len(page["Items"]) == limit
            query["Cursor"] = page["NextCursor"]
        assert found == whole
        assert len(found) in (122, 7 + 6)
    for path in (TARGETS, f"{TARGETS}/LH_007/fields"):
        assert (await get(imis_hub, path, 400, Cursor="bm9uZQ"))["errors"][0]["field"] == "Cursor"


async def test_who_may_look(imis_hub: ImisHub) -> None:
    """Staff of a Program whose events the subscriber gets may; for others it is not there."""
    await imis_hub.set_up()
    await imis_hub.hub.make_program("DOCTORS")

    for program, status in (("NURSES", 200), ("DOCTORS", 404)):
        client = await imis_hub.hub.caller("staff", programs=[program])
        for path in (TARGETS, FIELDS):
            assert (await client.get(path)).status_code == status
    client = await imis_hub.hub.caller("process", "read", "publish")
    assert (await client.get(TARGETS)).json()["code"] == "scope_missing"


async def test_what_is_not_there(imis_hub: ImisHub) -> None:
    """An unknown or archived subscriber and an unknown target are 404; a name that none can have is 400."""
    await imis_hub.put_subscriber()
    assert (await get(imis_hub, "/subscribers/nobody/targets", 404))["code"] == "not_found"
    assert "LH_Nothing" in (await get(imis_hub, f"{TARGETS}/LH_Nothing/fields", 404))["detail"]
    for name in ("a b", "1st", "x" * 101, "..%2FParty"):
        assert (await get(imis_hub, f"{TARGETS}/{name}/fields", 400))["errors"][0]["field"] == "Name"

    await imis_hub.client.delete("/subscribers/imis")
    for path in (TARGETS, FIELDS):
        assert "archived" in (await get(imis_hub, path, 404))["detail"]


async def test_other_kinds_cannot_be_asked(hub_without_worker: RunningHub) -> None:
    """A webhook has no targets to be listed."""
    body = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hooks.example.org"}}
    await hub_without_worker.client.put("/subscribers/hook", json=body)

    for path in ("/subscribers/hook/targets", "/subscribers/hook/targets/post/fields"):
        answer = await hub_without_worker.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (400, "not_supported")


@pytest.mark.parametrize("path", [TARGETS, FIELDS])
async def test_a_site_that_is_away(imis_hub: ImisHub, path: str) -> None:
    """Errors of the server, cut lines and waits that it asks for are 409 with what came of it."""
    await imis_hub.put_subscriber()
    for fault in ("503", "429", "cut-before", "rubbish"):
        await imis_hub.fault(fault, Path="/api")
        problem = await get(imis_hub, path, 409)
        assert problem["code"] == "subscriber_away", problem
        await imis_hub.mend()
    await get(imis_hub, path)


@pytest.mark.parametrize("path", [TARGETS, FIELDS])
async def test_an_address_that_does_not_answer(hub_without_worker: RunningHub, path: str) -> None:
    """Where nothing listens, the answer says so; nothing is paused by it."""
    body = a_subscriber_body(Settings={"BaseUrl": "http://127.0.0.1:9"})
    await hub_without_worker.client.put("/subscribers/imis", json=body)

    answer = await hub_without_worker.client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (409, "subscriber_away")
    assert (await hub_without_worker.client.get("/subscribers/imis")).json()["Paused"] is None


class TestAnImpatientHub:
    """A hub whose callers wait a second."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, run_wait_seconds=1)

    async def test_a_slow_site_is_not_waited_for(self, imis_hub: ImisHub) -> None:
        """The answer comes when the hub has waited as long as it waits, and the next question is answered."""
        await imis_hub.put_subscriber()
        await imis_hub.fault("hold", Path="/api/BOEntityDefinition")

        problem = await get(imis_hub, TARGETS, 409)

        assert problem["code"] == "subscriber_away"
        assert "within 1 second" in problem["detail"]
        await imis_hub.mend()
        await get(imis_hub, TARGETS)


async def test_refused_credentials_are_tried_once(imis_hub: ImisHub) -> None:
    """They are reported, and tried once: while the subscriber is paused for them, it is not asked at all."""
    await imis_hub.set_up()
    await imis_hub.change_password("changed")
    assert (await get(imis_hub, TARGETS, 409))["code"] == "subscriber_refused"
    await imis_hub.publish()

    async def paused() -> Any:
        return (await imis_hub.client.get("/subscribers/imis")).json()["Paused"]

    await eventually(paused)
    sign_ins = len(await imis_hub.requests("/token"))
    for path in (TARGETS, FIELDS):
        assert (await get(imis_hub, path, 409))["code"] == "subscriber_paused"
    assert len(await imis_hub.requests("/token")) == sign_ins


async def test_a_check_in_one_process_frees_the_others(imis_hub: ImisHub) -> None:
    """What another process remembers of refused credentials is forgotten once a check found them good."""
    await imis_hub.put_subscriber()
    await imis_hub.change_password("changed")
    async with running_hub(imis_hub.hub.settings, imis_hub.hub.database, with_worker=False) as other:
        for _ in range(2):
            assert (await other.client.get(TARGETS)).json()["code"] == "subscriber_refused"
        await imis_hub.change_password("sandbox")
        assert (await imis_hub.client.post("/subscribers/imis/check")).json()["Works"] is True

        assert (await other.client.get(TARGETS)).status_code == 200


async def test_an_account_without_rights(imis_hub: ImisHub) -> None:
    """Where it may not list sources, activities are left with a warning; where it may see nothing, that is reported."""
    await imis_hub.put_subscriber()
    await imis_hub.fault("403", Path="/api")

    listed = await get(imis_hub, TARGETS)
    assert [one["Name"] for one in listed["Items"]] == ["Activity"]
    assert "403" in listed["Warnings"][0]
    problem = await get(imis_hub, FIELDS, 409)
    assert problem["code"] == "subscriber_refused"
    assert "403" in problem["detail"]
