"""Programs over HTTP."""

from __future__ import annotations

import pytest
from dirty_equals import IsStr
from factories import a_subscriber_body, a_subscription_body, an_event_body
from running import RunningHub


async def test_put_makes_and_renames(hub_without_worker: RunningHub) -> None:
    """The first PUT makes a Program, the next one renames it."""
    client = hub_without_worker.client
    made = await client.put("/programs/NURSES", json={"Name": "Nurses"})
    renamed = await client.put("/programs/NURSES", json={"Name": "All nurses"})

    assert (made.status_code, made.json()["Name"]) == (201, "Nurses")
    assert (renamed.status_code, renamed.json()["Name"]) == (200, "All nurses")
    assert (await client.get("/programs/NURSES")).json() == {
        "ProgramId": "NURSES",
        "Name": "All nurses",
        "CreatedUtc": IsStr(regex=r".*Z"),
        "ArchivedUtc": None,
    }


@pytest.mark.parametrize("program_id", ["A", "9", "a" * 25, "A_b.c-d"])
async def test_ids_that_fit(hub_without_worker: RunningHub, program_id: str) -> None:
    """An id is 1 to 25 letters, digits and some marks."""
    answer = await hub_without_worker.client.put(f"/programs/{program_id}", json={"Name": "x"})
    assert answer.status_code == 201


@pytest.mark.parametrize("program_id", ["-a", "a" * 26, "a%20b", "a%00", "%C3%A4", "a%0A"])
async def test_ids_that_do_not_fit(hub_without_worker: RunningHub, program_id: str) -> None:
    """An id of another form is 400 with the field, together with what is wrong with the body."""
    client = hub_without_worker.client
    put = await client.put(f"/programs/{program_id}", json={})
    assert {error["field"] for error in put.json()["errors"]} == {"ProgramId", "Name"}
    for answer in (put, await client.get(f"/programs/{program_id}"), await client.delete(f"/programs/{program_id}")):
        assert answer.status_code == 400


async def test_a_key_sees_its_own_programs(hub_without_worker: RunningHub) -> None:
    """A key for one Program lists that one alone, and gets the same 403 for others, whether or not they exist."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    await hub.make_program("DOCTORS")
    caller = await hub.caller("read", programs=["NURSES"])

    listed = (await caller.get("/programs")).json()["Items"]
    others = [await caller.get(f"/programs/{program_id}") for program_id in ("DOCTORS", "NOBODY")]

    assert [program["ProgramId"] for program in listed] == ["NURSES"]
    assert [answer.status_code for answer in others] == [403, 403]
    assert others[0].json()["detail"] == others[1].json()["detail"]
    assert (await hub.client.get("/programs/NOBODY")).status_code == 404


async def test_an_archived_program_takes_nothing_more(hub_without_worker: RunningHub) -> None:
    """Archiving refuses new events and archives the subscriptions; events stay readable; a PUT brings it back."""
    hub = hub_without_worker
    await hub.make_program()
    await hub.client.put("/subscribers/imis", json=a_subscriber_body())
    assert (await hub.client.put("/subscriptions/s", json=a_subscription_body())).status_code == 201
    location = (await hub.client.post("/events", json=an_event_body())).headers["Location"]

    archived = [await hub.client.delete("/programs/NURSES") for _ in range(2)]

    assert [answer.status_code for answer in archived] == [204, 204]
    refused = await hub.client.post("/events", json=an_event_body(PublisherEventId="AI:2"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "PublisherProgramId")
    assert (await hub.client.get(location)).status_code == 200
    assert (await hub.client.get("/subscriptions/s")).json()["ArchivedUtc"] is not None
    await hub.make_program()
    assert (await hub.client.post("/events", json=an_event_body(PublisherEventId="AI:2"))).status_code == 201


async def test_a_program_that_is_not_there(hub_without_worker: RunningHub) -> None:
    """Archiving a Program that is not there is 404."""
    assert (await hub_without_worker.client.delete("/programs/NOBODY")).status_code == 404


async def test_what_is_there_already_is_not_sent_again(hub_without_worker: RunningHub) -> None:
    """A GET with the ETag it gave before is answered with 304 until something changes."""
    hub = hub_without_worker
    await hub.make_program()
    tag = (await hub.client.get("/programs")).headers["ETag"]

    same = await hub.client.get("/programs", headers={"If-None-Match": tag})
    await hub.make_program("DOCTORS")
    other = await hub.client.get("/programs", headers={"If-None-Match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
