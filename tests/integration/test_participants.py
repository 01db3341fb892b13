"""Participants matched by a person, over real HTTP and the sandbox iMIS."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from imis_hub import ImisHub
from running import RunningHub, eventually

NOBODY = "nobody@example.org"
SHARED = "office@example.org"
# One that is nobody's at the sandbox, and has whatever an address can have a special meaning for.
NASTY = "a/b//c d?e=f&g#h%2Fi é+;:@..\\"


def place(participant: str, **query: str) -> str:
    parameters = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"/subscribers/imis/participants/{quote(participant, safe='')}?{parameters}"


async def contact_of(imis_hub: ImisHub) -> str:
    """The id of some active contact at the sandbox."""
    contacts = (await imis_hub.state())["Contacts"]
    return str(next(one["PartyId"] for one in contacts if one.get("StatusId", "Active") == "Active"))


async def test_a_match_requeues_all_of_a_person(imis_hub: ImisHub) -> None:
    """A person's parked deliveries, and nobody else's, arrive under the matched id."""
    await imis_hub.set_up()
    mine = [
        await imis_hub.publish(PublisherEventId=f"AI:{number}", PublisherParticipantId=NOBODY) for number in range(3)
    ]
    other = await imis_hub.publish(PublisherEventId="AI:other", PublisherParticipantId="somebody@example.org")
    for location in (*mine, other):
        parked = await imis_hub.settled(location, "parked")
        assert (parked["Code"], parked["Class"]) == ("participant_not_found", "identity")
    contact = await contact_of(imis_hub)

    answer = await imis_hub.client.put(place(NOBODY, ProgramId="NURSES"), json={"SubscriberParticipantId": contact})

    assert answer.status_code == 200, answer.text
    assert answer.json()["Requeued"] == 3
    for location in mine:
        await imis_hub.delivered(location)
    assert (await imis_hub.settled(other, "parked"))["Attempts"] == 1
    assert [str(one["PartyId"]) for one in await imis_hub.activities()] == [contact] * 3
    shown = (await imis_hub.client.get(place(NOBODY, ProgramId="NURSES"))).json()
    assert shown == {name: value for name, value in answer.json().items() if name != "Requeued"}
    assert shown["SettledBy"] == "admin"
    assert shown["ExpiresUtc"] is None
    assert shown["PublisherSystemId"] is None


async def test_what_imis_refused_the_contact_of_is_put_back(imis_hub: ImisHub) -> None:
    """Matched to a contact that does not exist, a delivery is parked again, and requeued by the right match."""
    await imis_hub.set_up()
    await imis_hub.client.put(place(NOBODY, ProgramId="NURSES"), json={"SubscriberParticipantId": "999999"})
    location = await imis_hub.publish(PublisherParticipantId=NOBODY)
    parked = await imis_hub.settled(location, "parked")
    assert (parked["Code"], parked["Class"]) == ("participant_not_found", "identity")

    contact = await contact_of(imis_hub)
    mended = await imis_hub.client.put(place(NOBODY, ProgramId="NURSES"), json={"SubscriberParticipantId": contact})

    assert mended.json()["Requeued"] == 1
    await imis_hub.delivered(location)


async def test_what_is_parked_for_another_reason_stays(imis_hub: ImisHub) -> None:
    """A person's deliveries that are parked for another reason are not requeued."""
    await imis_hub.set_up()
    data = {"Activity Code": "FIRE-201", "Activity Title": "Fire safety", "Credits": "ten"}
    location = await imis_hub.publish(PublisherEventData=data)
    assert (await imis_hub.settled(location, "parked"))["Class"] == "mapping"
    where = place("robin.vale@example.org", ProgramId="NURSES")
    answer = await imis_hub.client.put(where, json={"SubscriberParticipantId": "10042"})
    assert answer.json()["Requeued"] == 0
    assert (await imis_hub.settled(location, "parked"))["Attempts"] == 1


async def test_a_system_counts_before_all_systems(imis_hub: ImisHub) -> None:
    """A match for one system goes before a match for all, and requeues that system's deliveries alone."""
    await imis_hub.set_up()
    here = await imis_hub.publish(PublisherSystemId="TopClass", PublisherParticipantId=NOBODY)
    there = await imis_hub.publish(PublisherSystemId="Other", PublisherParticipantId=NOBODY)
    for location in (here, there):
        await imis_hub.settled(location, "parked")
    contact = await contact_of(imis_hub)

    of_system = place(NOBODY, ProgramId="NURSES", PublisherSystemId="TopClass")
    answer = await imis_hub.client.put(of_system, json={"SubscriberParticipantId": contact})

    assert answer.json()["Requeued"] == 1
    await imis_hub.delivered(here)
    assert (await imis_hub.settled(there, "parked"))["Attempts"] == 1
    await imis_hub.client.put(place(NOBODY, ProgramId="NURSES"), json={"SubscriberParticipantId": "999999"})
    shown = (await imis_hub.client.get(of_system)).json()
    assert (shown["SubscriberParticipantId"], shown["PublisherSystemId"]) == (contact, "TopClass")
    shown = (await imis_hub.client.get(place(NOBODY, ProgramId="NURSES", PublisherSystemId="Other"))).json()
    assert (shown["SubscriberParticipantId"], shown["PublisherSystemId"]) == ("999999", None)


async def test_what_was_looked_up_is_shown_with_its_end(imis_hub: ImisHub) -> None:
    """A participant that was found is shown as looked up, with the time when it is looked up again."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())

    shown = (await imis_hub.client.get(place("robin.vale@example.org", ProgramId="NURSES"))).json()

    assert shown["SettledBy"] is None
    assert shown["PublisherSystemId"] == "TopClass"
    assert shown["ExpiresUtc"] > shown["ChangedUtc"]
    listed = (await imis_hub.client.get("/subscribers/imis/participants?ProgramId=NURSES")).json()
    assert listed == {"Items": [], "NextCursor": None}


@pytest.fixture
async def nurses(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with the subscriber `imis` of the Program NURSES, which nothing is sent to."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    await hub.make_program("DOCTORS")
    subscriber = {
        "Name": "iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": "https://imis.example.org", "TimeZone": "UTC", "ParticipantLookup": "email"},
        "Credentials": {"Username": "hub", "Password": "secret"},
    }
    assert (await hub.client.put("/subscribers/imis", json=subscriber)).status_code == 201
    subscription = {
        "Name": "Completions", "SubscriberId": "imis", "ProgramId": "NURSES", "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": {"Kind": "activity"}, "Templates": {"_default": {"ActivityType": "CALL"}},
    }  # fmt: skip
    assert (await hub.client.put("/subscriptions/completions", json=subscription)).status_code == 201
    return hub


@pytest.mark.parametrize("participant", [NASTY, "%2F", "/", "//x//", "😀" * 200, "list", "a%00b"[:1] + "'"])
@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_any_id_is_one_step_of_the_address(nurses: RunningHub, participant: str, prefix: str) -> None:
    """Whatever characters an id has, percent-encoded it is matched, read, listed and forgotten."""
    where = prefix + place(participant, ProgramId="NURSES")
    assert (await nurses.client.put(where, json={"SubscriberParticipantId": "12345"})).status_code == 200
    shown = await nurses.client.get(where)
    assert (shown.status_code, shown.json()["PublisherParticipantId"]) == (200, participant)
    listed = (await nurses.client.get("/subscribers/imis/participants?ProgramId=NURSES")).json()
    assert [one["PublisherParticipantId"] for one in listed["Items"]] == [participant]
    assert [(await nurses.client.delete(where)).status_code for _ in range(2)] == [204, 204]
    assert (await nurses.client.get(where)).status_code == 404


@pytest.mark.parametrize("broken", ["%FF", "robin%C3", "a%2F%ED%A0%80"])
@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_an_id_that_is_no_utf_8_is_refused(nurses: RunningHub, broken: str, prefix: str) -> None:
    """It is not taken for an id with a replacement character, which is a character like any other."""
    where = f"{prefix}/subscribers/imis/participants/{broken}?ProgramId=NURSES"
    for method in ("PUT", "GET", "DELETE"):
        body = {"SubscriberParticipantId": "12345"} if method == "PUT" else None
        answer = await nurses.client.request(method, where, json=body)
        assert answer.status_code == 400, (method, answer.text)
        assert answer.json()["errors"] == [{"field": "PublisherParticipantId", "message": "is not valid UTF-8"}]
    listed = (await nurses.client.get("/subscribers/imis/participants?ProgramId=NURSES")).json()
    assert listed["Items"] == []
    marked = place("\ufffd", ProgramId="NURSES")
    assert (await nurses.client.put(marked, json={"SubscriberParticipantId": "12345"})).status_code == 200


async def test_slashes_lead_nowhere_else(nurses: RunningHub) -> None:
    """An encoded slash is part of the id, not of the path."""
    for path, status in (("/programs/NURSES%2Fx", 400), ("/programs%2FNURSES", 404), ("/api/events/a%2Fb", 400)):
        answer = await nurses.client.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["instance"]


async def test_the_list_goes_on_where_it_stopped(nurses: RunningHub) -> None:
    """Page by page each match is listed once, the same id of several systems included."""
    wanted = []
    for participant in ("b", "a/1", "ü" * 200):
        for system in (None, "LB", "TC"):
            query = {"ProgramId": "NURSES"} | ({"PublisherSystemId": system} if system else {})
            await nurses.client.put(place(participant, **query), json={"SubscriberParticipantId": "1"})
            wanted.append((participant, system))
    found: list[tuple[str, str | None]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await nurses.client.get(
            "/subscribers/imis/participants", params={"ProgramId": "NURSES", "Limit": 2, **cursor}
        )
        assert page.status_code == 200, page.text
        found += [(one["PublisherParticipantId"], one["PublisherSystemId"]) for one in page.json()["Items"]]
        if page.json()["NextCursor"] is None:
            break
        cursor = {"Cursor": page.json()["NextCursor"]}
    assert sorted(found, key=str) == sorted(wanted, key=str)
    foreign = await nurses.client.get("/subscribers/imis/participants?ProgramId=NURSES&Cursor=bm90LW1pbmU")
    assert foreign.status_code == 400


async def test_whose_participants_one_may_settle(nurses: RunningHub) -> None:
    """The Program must be named, known and the key's; the subscriber one that the key's Programs have."""
    body = {"SubscriberParticipantId": "1"}
    missing = await nurses.client.put(place("x"), json=body)
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (400, "ProgramId")
    unknown = await nurses.client.put(place("x", ProgramId="NOBODYS"), json=body)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (400, "ProgramId")
    for scope in ("process", "staff"):
        client = await nurses.caller(scope, programs=["NURSES"])
        assert (await client.put(place("x"), json=body)).status_code == 200
        foreign = await client.put(place("x", ProgramId="DOCTORS"), json=body)
        assert (foreign.status_code, foreign.json()["code"]) == (403, "program_not_allowed")
    for scope in ("read", "publish"):
        client = await nurses.caller(scope, programs=["NURSES"])
        assert (await client.get(place("x", ProgramId="NURSES"))).json()["code"] == "scope_missing"
    doctors = await nurses.caller("staff", programs=["DOCTORS"])
    assert (await doctors.get(place("x"))).status_code == 404
    assert (await nurses.client.get("/subscribers/other/participants/x?ProgramId=NURSES")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "SubscriberParticipantId"),
        ({"SubscriberParticipantId": "  "}, "SubscriberParticipantId"),
        ({"SubscriberParticipantId": 12345}, "SubscriberParticipantId"),
        ({"SubscriberParticipantId": "a\0"}, "SubscriberParticipantId"),
        ({"SubscriberParticipantId": "1", "Other": 1}, "Other"),
    ],
)
async def test_what_is_no_id_is_refused(nurses: RunningHub, body: dict[str, Any], field: str) -> None:
    """A body without an id, with another form of one, or with more fields is 400, the field named."""
    answer = await nurses.client.put(place("x", ProgramId="NURSES"), json=body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])


async def test_ids_that_no_event_can_have_are_refused(nurses: RunningHub) -> None:
    """An id in the address that is too long, or has NUL, is 400."""
    for participant in ("x" * 201, "a\0b"):
        answer = await nurses.client.get(place(participant, ProgramId="NURSES"))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "PublisherParticipantId")


async def test_every_bad_field_of_a_settlement_is_named(nurses: RunningHub) -> None:
    """Every fault of the Program, the id in the path and the body is reported together."""
    for query, program in (({}, "ProgramId"), ({"ProgramId": "NOBODY"}, "ProgramId")):
        answer = await nurses.client.put(
            f"/subscribers/imis/participants/{'x' * 201}",
            params=query,
            json={"SubscriberParticipantId": "", "Colour": 1},
        )
        assert sorted(error["field"] for error in answer.json()["errors"]) == sorted(
            ["Colour", program, "PublisherParticipantId", "SubscriberParticipantId"]
        )


async def test_mending_is_in_the_audit_log(imis_hub: ImisHub) -> None:
    """Matches, requeues and deletions are recorded with their caller, and with before and after."""
    await imis_hub.set_up()
    location = await imis_hub.publish(PublisherParticipantId=NOBODY)
    await imis_hub.settled(location, "parked")
    where = place(NOBODY, ProgramId="NURSES")
    for contact in ("1", "2"):
        await imis_hub.client.put(where, json={"SubscriberParticipantId": contact})
    await imis_hub.client.delete(where)

    log = (await imis_hub.client.get("/audit?ObjectType=participant")).json()["Items"]

    assert [entry["Action"] for entry in log] == ["forget", "settle", "settle"]
    assert {entry["ObjectId"] for entry in log} == {f"imis/NURSES/{NOBODY}"}
    assert [(entry["Before"] or {}).get("SubscriberParticipantId") for entry in log] == ["2", "1", None]
    assert [(entry["After"] or {}).get("SubscriberParticipantId") for entry in log] == [None, "2", "1"]
    put_back = (await imis_hub.client.get("/audit?ObjectType=delivery")).json()["Items"]
    assert {entry["Action"] for entry in put_back} == {"requeue"}


async def test_what_is_under_way_is_put_back_as_well(imis_hub: ImisHub) -> None:
    """A delivery whose look-up had begun before the match is not left parked."""
    await imis_hub.set_up()
    await imis_hub.fault("slow", Method="GET", Path="/api/PartySummary", Times=1)
    location = await imis_hub.publish(PublisherParticipantId=NOBODY)

    async def under_way() -> bool:
        return bool([one for one in await imis_hub.deliveries_of(location) if one["State"] == "sending"])

    await eventually(under_way)
    contact = await contact_of(imis_hub)
    await imis_hub.client.put(place(NOBODY, ProgramId="NURSES"), json={"SubscriberParticipantId": contact})

    await imis_hub.delivered(location)
