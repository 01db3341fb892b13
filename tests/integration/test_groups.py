"""Failures by like cause: what belongs together, what stands first, and putting a group back together."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from imis_hub import TEMPLATE, ImisHub
from running import RunningHub, eventually

from learning_hub.model.delivery import State
from learning_hub.store.database import Database

SAME = [
    ("template_error", 'decimal needs a number and got "ten" (at A.Units)',
     'decimal needs a number and got "a long tex… (at A.Units)'),
    ("template_error", r'decimal needs a number and got "a \"b\" c" (at A.Units)',
     'decimal needs a number and got "" (at A.Units)'),
    ("participant_not_found", 'iMIS has no active contact with the e-mail address "jdoe".',
     'iMIS has no active contact with the e-mail address "robin.vale@example.org".'),
    ("participant_not_found", "iMIS takes no record for the contact 999999: it is gone.",
     "iMIS takes no record for the contact 12: it is gone."),
    ("participant_ambiguous", 'iMIS has several active contacts "a": 101, 102.',
     'iMIS has several active contacts "b": 7, 8, 9, 10.'),
    ("refused", "The hub could not update Activity 880123: iMIS answered 400.",
     "The hub could not update Activity 9: iMIS answered 400."),
    ("refused", "'ABC' is no code", "'Nurse Week' is no code"),
    ("refused", "The course isn't open: 'A B' it's", "The course isn't open: 'C' it's"),
    ("refused", "\u201cRobin Vale\u201d is closed", "\u201cO\u2019Brien, Kim\u201d is closed"),
    ("refused", "\u2018Robin\u2019 is closed", "\u2018Kim\u2019 is closed"),
    ("refused", "Key deadbeef-abcd-abcd-abcd-abcdefabcdef is bad", "Key 01234567-89AB-CDEF-0123-456789ABCDEF is bad"),
    ("refused", "No token a1b2c3d4e5", "No token FFEE00AA11BB"),
    ("refused", "o'brien+x@sub.example.org is closed", "kim@example.org is closed"),
    ("refused", "At 2026-11-22T08:00:00Z it failed", "At 11/22/2026 8:00 it failed"),
    ("refused", "Several rows (~101|3, ~101|4), and", "Several rows (~7|1, ~7|2, ~7|31), and"),
    ("refused", "1.30 is over 2", "12 is over 2,000.5"),
    ("retries_used_up", "All 8 attempts have failed. The request was sent, but no answer came within 30 seconds.",
     "All 3 attempts have failed. The request was sent, but no answer came within 5 seconds."),
]  # fmt: skip
DIFFERENT = [
    ("template_error", "x is missing (at Online.Units)", "x is missing (at Online.Description)"),
    ("template_error", "x is missing (at 101.Units)", "x is missing (at 102.Units)"),
    ("template_error", "x is missing (at robin@example.org.Units)", "x is missing (at kim@example.org.Units)"),
    ("template_error", 'x is missing (at "A".Units)', 'x is missing (at "B".Units)'),
    ("template_error", "x is missing (at A.Items[3])", "x is missing (at A.Items[4])"),
    ("template_error", "data['Course Name'] is missing (at A.B)", "data['Credits'] is missing (at A.B)"),
    ("template_error", "integer got null (at A.B)", 'integer got "x" (at A.B)'),
    ("refused", "UF_1 is too long.", "UF_2 is too long."),
    ("refused", "iMIS answered 400.", "iMIS answered 409."),
]


@pytest.mark.parametrize(("code", "one", "other"), SAME)
async def test_what_differs_by_event_makes_no_other_group(database: Database, code: str, one: str, other: str) -> None:
    """Values, names, addresses, ids, numbers and times in a message do not tell causes apart."""
    assert await signature(database, code, one) == await signature(database, code, other)


@pytest.mark.parametrize(("code", "one", "other"), DIFFERENT)
async def test_other_causes_are_other_groups(database: Database, code: str, one: str, other: str) -> None:
    """The place of a template error, what is missing, a column or a status tell causes apart."""
    assert await signature(database, code, one) != await signature(database, code, other)


async def signature(database: Database, code: str, message: str) -> str:
    return str(await database.fetchval("SELECT failure_signature($1, $2)", code, message))


async def groups(imis_hub: ImisHub, **query: Any) -> list[dict[str, Any]]:
    answer = await imis_hub.client.get("/deliveries/groups", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["Items"])


async def test_a_cause_is_mended_and_its_group_released(imis_hub: ImisHub) -> None:
    """Like failures are one group with its count, times and an example; put back by it, its deliveries alone go out."""
    broken = {
        "ActivityType": "CALL",
        "Description": "{{ data['Activity Title'] }}",
        "Units": "{{ data['Credits'] | decimal }}",
    }
    await imis_hub.set_up(Templates={"_default": broken})
    data = {"Activity Title": "Fire safety"}
    words = [
        await imis_hub.publish(
            PublisherEventId=f"AI:{number}", PublisherEventData=data | {"Credits": f"{number} hours"}
        )
        for number in range(5)
    ]
    nobody = await imis_hub.publish(PublisherEventId="AI:5", PublisherParticipantId="nobody@example.org",
                                    PublisherEventData=data | {"Credits": "1"})  # fmt: skip
    for location in (*words, nobody):
        await imis_hub.settled(location, "parked")

    found = await groups(imis_hub)

    assert [(one["Code"], one["Class"], one["Count"]) for one in found] == [
        ("template_error", "mapping", 5), ("participant_not_found", "identity", 1),
    ]  # fmt: skip
    group = found[0]
    assert (group["ProgramId"], group["SubscriberId"], group["SubscriptionId"]) == ("NURSES", "imis", "completions")
    assert "(at _default.Units)" in group["Message"]
    assert group["Advice"]
    assert group["FirstUtc"] <= group["LastUtc"]
    example = (await imis_hub.client.get(f"/deliveries/{group['Example']['DeliveryId']}")).json()
    assert (example["Message"], example["EventId"]) == (group["Message"], group["Example"]["EventId"])
    listed = (await imis_hub.client.get("/deliveries", params={"Signature": group["Signature"]})).json()["Items"]
    assert {one["EventId"] for one in listed} == {location.rpartition("/")[2] for location in words}

    mended = broken | {"Units": "{{ data['Credits'] | split: ' ' | first | decimal }}"}
    await imis_hub.put_subscription(Templates={"_default": mended})
    released = await imis_hub.client.post("/deliveries/requeue", params={"Signature": group["Signature"]})

    assert released.json() == {"Requeued": 5}
    for location in words:
        await imis_hub.delivered(location)
    assert [one["Code"] for one in await groups(imis_hub)] == ["participant_not_found"]


async def fill(hub: RunningHub, rows: list[tuple[str, str, str, str, int]]) -> None:
    """Parked deliveries: Program, code, class, message, how many."""
    for program_id, code, failure_class, message, count in rows:
        await hub.database.execute(
            """
            INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                                  publisher_system_id, publisher_event_id, event_type, state, code, class, message)
            SELECT $1, gen_random_uuid(), 'to-' || $1, 'imis', gen_random_uuid(), n, 'LB', n::text, 'AI_STARTED',
                   'parked', $2, $3, $4 || ' ' || n
              FROM generate_series(1, $5::int) AS n
            """,
            program_id, code, failure_class, message, count,
        )  # fmt: skip


@pytest.fixture
async def failing(imis_hub: ImisHub) -> ImisHub:
    """A hub of two Programs, with a subscription each to one iMIS, and failures of several causes."""
    await imis_hub.hub.make_program("NURSES")
    await imis_hub.hub.make_program("DOCTORS")
    await imis_hub.put_subscriber()
    for program_id in ("NURSES", "DOCTORS"):
        await imis_hub.put_subscription(f"to-{program_id}", ProgramId=program_id, State="stopped")
    await fill(imis_hub.hub, [
        ("NURSES", "refused", "refused", "The big one", 30),
        ("NURSES", "refused", "refused", "The small one", 3),
        ("NURSES", "internal_error", "hub", "The hub failed", 2),
        ("DOCTORS", "refused", "refused", "The big one", 7),
    ])  # fmt: skip
    return imis_hub


async def pause(imis_hub: ImisHub, seconds: int) -> None:
    await imis_hub.hub.database.execute(
        """
        INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, probe_seconds, next_probe_utc)
        VALUES ('imis', 'connection_failed', 'unavailable', 'iMIS is away.', now() - make_interval(secs => $1::int),
                60, now() + interval '1 hour')
        """,
        seconds,
    )


async def test_what_alarms_stands_first(failing: ImisHub) -> None:
    """The hub's own faults and pauses that last stand before bad data, however few they are; a short pause does not."""
    await pause(failing, 60)
    assert "pause" not in {one["Kind"] for one in await groups(failing)}
    await failing.hub.database.execute("DELETE FROM subscriber_pause")
    await pause(failing, 1000)
    location = await failing.publish(PublisherEventId="AI:waits")

    async def waiting() -> list[dict[str, Any]]:
        return await failing.deliveries_of(location)

    await eventually(waiting)
    await failing.hub.database.execute("UPDATE delivery SET held = false WHERE state = 'waiting'")

    found = await groups(failing)

    assert [(one["Kind"], one["ProgramId"], one["Code"], one["Count"]) for one in found] == [
        ("failures", "NURSES", "internal_error", 2),
        ("pause", "NURSES", "connection_failed", 1),
        ("pause", "DOCTORS", "connection_failed", 0),
        ("failures", "NURSES", "refused", 30),
        ("failures", "DOCTORS", "refused", 7),
        ("failures", "NURSES", "refused", 3),
    ]
    shown = found[1]
    assert (shown["SubscriberId"], shown["SubscriptionId"], shown["Signature"], shown["Example"]) == (
        "imis",
        None,
        None,
        None,
    )
    assert shown["Message"] == "iMIS is away."
    assert shown["FirstUtc"] < shown["LastUtc"]


async def kinds_of_groups(hub: ImisHub) -> list[tuple[str, str, int]]:
    listed = (await hub.client.get("/deliveries/groups")).json()["Items"]
    return [(one["Kind"], one["Code"], one["Count"]) for one in listed]


async def test_refused_credentials_are_a_group_at_once(imis_hub: ImisHub) -> None:
    """They do not pass by themselves, so that nobody waits for a pause to last; the group ends with the pause."""
    await imis_hub.set_up()
    await imis_hub.change_password("changed")
    event = await imis_hub.publish()
    await eventually(
        lambda: kinds_of_groups(imis_hub), until=lambda found: found == [("pause", "credentials_refused", 1)]
    )
    (group,) = (await imis_hub.client.get("/deliveries/groups?Class=refused")).json()["Items"]
    assert "valid credentials" in group["Advice"]
    await imis_hub.put_subscriber(password="changed")
    await imis_hub.delivered(event)
    assert await kinds_of_groups(imis_hub) == []


async def test_a_pause_that_may_pass_is_no_group_at_first(imis_hub: ImisHub) -> None:
    """It is listed once it has lasted for the time of the setting; until then its failed deliveries are."""
    await imis_hub.set_up()
    await imis_hub.fault("503")
    await imis_hub.publish()
    await eventually(
        lambda: kinds_of_groups(imis_hub), until=lambda found: found == [("failures", "connection_failed", 1)]
    )
    assert (await imis_hub.client.get("/subscribers/imis")).json()["Paused"]


async def test_groups_come_page_by_page(failing: ImisHub) -> None:
    """Each group comes once, whatever the size of a page; a cursor of another list is refused."""
    await pause(failing, 1000)
    whole = await groups(failing)
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"Limit": 1}
    while True:
        page = (await failing.client.get("/deliveries/groups", params=query)).json()
        found += page["Items"]
        if page["NextCursor"] is None:
            break
        query["Cursor"] = page["NextCursor"]
    unmoved = [{name: value for name, value in one.items() if name != "LastUtc"} for one in found]
    assert unmoved == [{name: value for name, value in one.items() if name != "LastUtc"} for one in whole]
    for cursor in ("x", "Z3JvdXBzIG9mIGRlbGl2ZXJpZXM6WzFd", "ZGVsaXZlcmllczp4"):
        refused = await failing.client.get("/deliveries/groups", params={"Cursor": cursor})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "Cursor")


async def test_groups_are_filtered_as_deliveries_are(failing: ImisHub) -> None:
    """The filters of the list of deliveries count here as well; a key sees the groups of its Programs alone."""
    await pause(failing, 1000)
    everything = await groups(failing)
    assert len(everything) == 6
    for query, count in (
        ({"ProgramId": "DOCTORS"}, 2),
        ({"SubscriptionId": "to-NURSES"}, 4),
        ({"SubscriberId": "imis"}, 6),
        ({"Class": "hub"}, 1),
        ({"Class": "unavailable"}, 2),
        ({"Code": "refused"}, 3),
        ({"State": "parked"}, 4),
        ({"State": "waiting"}, 2),
        ({"State": "retrying"}, 0),
        ({"Signature": everything[-1]["Signature"]}, 1),
    ):
        assert len(await groups(failing, **query)) == count, query
    doctors = await failing.hub.caller("staff", programs=["DOCTORS"])
    seen = (await doctors.get("/deliveries/groups")).json()["Items"]
    assert {one["ProgramId"] for one in seen} == {"DOCTORS"}
    assert (await doctors.get("/deliveries/groups?ProgramId=NURSES")).status_code == 403
    assert (await failing.client.get("/deliveries/groups?Signature=nonsense")).status_code == 400
    assert (await failing.client.get("/deliveries/groups?Code=nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "states"),
    [
        ("POST", "/deliveries/requeue", {"parked", "retrying", "skipped"}),
        ("GET", "/deliveries/groups", {"waiting", "retrying", "parked", "skipped"}),
    ],
)
async def test_a_state_that_can_never_match_is_refused(
    hub_without_worker: RunningHub, method: str, path: str, states: set[str]
) -> None:
    """A filter that would mean nothing at all is named, with the states that can be, instead of an empty answer."""
    for state in get_args(State):
        answer = await hub_without_worker.client.request(method, path, params={"State": state})
        assert answer.status_code == (200 if state in states else 400), state
        if state not in states:
            (error,) = answer.json()["errors"]
            assert error["field"] == "State"
            assert set(error["message"].removeprefix("must be one of ").split(", ")) == states


async def test_a_category_without_a_template_is_a_group(imis_hub: ImisHub) -> None:
    """Events without a template are groups by category that name the likely spelling, until requeued with one."""
    templates: dict[str, Any] = {"Online": TEMPLATE, "ILT": TEMPLATE, "External Training": None}
    await imis_hub.set_up(Templates=templates)
    skipped = [
        await imis_hub.publish(PublisherEventId=f"AI:{number}", PublisherEventCategory={"value": value})
        for number, value in enumerate(("online", "Webinar", "online", "External Training"))
    ]
    for location in skipped:
        await imis_hub.settled(location, "skipped")

    found = await groups(imis_hub)

    assert [(one["Code"], one["Class"], one["Count"]) for one in found] == [
        ("no_template", "mapping", 2), ("no_template", "mapping", 1),
    ]  # fmt: skip
    online, webinar = found
    assert online["Message"] == (
        'The subscription has no template for the category "online", only for Online and ILT: is it Online?'
    )
    assert webinar["Message"].endswith('the category "Webinar", only for Online and ILT.')
    assert await groups(imis_hub, State="skipped", Signature=webinar["Signature"]) == [webinar]
    assert await groups(imis_hub, State="parked") == []
    listed = (await imis_hub.client.get("/deliveries", params={"Signature": online["Signature"]})).json()["Items"]
    assert {one["EventId"] for one in listed} == {skipped[at].rpartition("/")[2] for at in (2, 0)}
    gauge = 'learning_hub_deliveries_no_template{subscriber="imis",subscription="completions"} 3.0'
    assert gauge in (await imis_hub.client.get("/metrics")).text

    await imis_hub.put_subscription(Templates=templates | {"online": TEMPLATE})
    answer = await imis_hub.client.post("/deliveries/requeue", params={"Signature": online["Signature"]})
    assert answer.json() == {"Requeued": 2}
    for at in (0, 2):
        await imis_hub.delivered(skipped[at])
    assert [one["Signature"] for one in await groups(imis_hub)] == [webinar["Signature"]]
    await imis_hub.client.delete("/subscriptions/completions")
    assert await groups(imis_hub) == []
