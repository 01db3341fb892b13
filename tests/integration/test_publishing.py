"""Publishing over HTTP: new events, the same again, revisions, replacing and withdrawing."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from dirty_equals import IsPartialDict, IsStr
from event_values import with_every_field
from factories import a_subscriber_body, a_subscription_body, an_event_body
from feed_visibility import reads_all
from running import RunningHub

EVENT_ID = r"E:NURSES-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
SOME_EVENT = "/events/E:NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"


@pytest.fixture
async def publisher(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client that may publish and read for NURSES, which exists beside DOCTORS."""
    await hub_without_worker.make_program()
    await hub_without_worker.make_program("DOCTORS")
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES"])
    return reads_all(client, hub_without_worker.database)


async def publish(client: httpx.AsyncClient, **changes: Any) -> str:
    """Publish an event that must be stored; returns its Location."""
    answer = await client.post("/events", json=an_event_body(**changes))
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def read(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    answer = await client.get(location)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def feed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/events", params={"ProgramId": "NURSES", "Limit": 1000})
    return list(answer.json()["Items"])


def bad_fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_a_new_event(publisher: httpx.AsyncClient) -> None:
    """A new event is answered 201 without a body, and its Location is where it can be read, whole."""
    answer = await publisher.post("/events", json=with_every_field())

    assert (answer.status_code, answer.content) == (201, b"")
    assert "Content-Type" not in answer.headers
    assert re.fullmatch(f"/events/{EVENT_ID}", answer.headers["Location"])
    stored = await read(publisher, answer.headers["Location"])
    created = datetime.fromisoformat(stored["CreatedUtc"])
    assert {
        "EventId": answer.headers["Location"].removeprefix("/events/"),
        "EventDateBucket": f"NURSES-LB-{created.astimezone(UTC):%Y%m%d}",
        "CreatedUtc": IsStr(regex=r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"),
        "Revision": 1,
        "Supersedes": None,
        "SupersededBy": None,
        **with_every_field(),
    } == stored


async def test_the_same_event_again(publisher: httpx.AsyncClient) -> None:
    """The same source key with equal content stores nothing: 200, no body, the Location of the event that is there."""
    first = await publish(publisher, PublisherEventData={"a": 1.3, "b": [1, {"c": None}]})
    spelled = json.dumps(an_event_body(PublisherEventData="@", EventStartUtc="2026-11-20T09:00:00.0000000-05:00"))
    again = await publisher.post(
        "/events", content=spelled.replace('"@"', '{ "b": [1e0, {"c": null}],\n "a": 1.30 }').encode()
    )

    assert (200, b"", first) == (again.status_code, again.content, again.headers["Location"])
    assert "Content-Type" not in again.headers
    assert len(await feed(publisher)) == 1


async def test_other_content_is_the_next_revision(publisher: httpx.AsyncClient) -> None:
    """Other content of the same source key is a new event, one revision higher; each names the one before and after."""
    first = await publish(publisher)
    second = await publish(publisher, PublisherParticipantId="robin@example.org")
    third = await publish(publisher)

    assert len({first, second, third}) == 3
    ids = [location.removeprefix("/events/") for location in (first, second, third)]
    assert IsPartialDict(Revision=2, Supersedes=ids[0], SupersededBy=ids[2]) == await read(publisher, second)
    assert IsPartialDict(Revision=3, Supersedes=ids[1], SupersededBy=None) == await read(publisher, third)
    assert IsPartialDict(Revision=1, Supersedes=None, SupersededBy=ids[1], **an_event_body()) == await read(
        publisher, first
    )


async def test_a_withdrawal_supersedes_nothing(publisher: httpx.AsyncClient) -> None:
    """The latest revision has no SupersededBy after it was withdrawn, and names the revision that revives it."""
    location = await publish(publisher)
    assert (await publisher.delete(location)).status_code == 204
    assert IsPartialDict(SupersededBy=None, WithdrawnUtc=IsStr()) == await read(publisher, location)

    revived = await publish(publisher)
    assert IsPartialDict(SupersededBy=revived.removeprefix("/events/")) == await read(publisher, location)


async def test_what_arrives_is_compared_with_the_latest(publisher: httpx.AsyncClient) -> None:
    """The content of an earlier revision, sent again after a later one, is a revision and not the same."""
    await publish(publisher)
    await publish(publisher, EventEndUtc=None)
    third = await publish(publisher)
    again = await publisher.post("/events", json=an_event_body())

    assert (200, third) == (again.status_code, again.headers["Location"])


async def test_another_source_key(publisher: httpx.AsyncClient) -> None:
    """Another type, system or id, if only by the case of a letter, is an event of its own with Revision 1."""
    await publish(publisher)
    changes: dict[str, Any]
    for changes in ({"EventType": "AI_STARTED"}, {"PublisherSystemId": "topclass"}, {"PublisherEventId": "ai:1234"}):
        other = await publish(publisher, **changes)

        assert IsPartialDict(Revision=1, Supersedes=None, **changes) == await read(publisher, other)


async def test_the_same_source_in_another_program_is_another_event(hub_without_worker: RunningHub) -> None:
    """The same source in another Program is an event of its own."""
    await hub_without_worker.make_program()
    await hub_without_worker.make_program("DOCTORS")
    await publish(hub_without_worker.client)
    other = await publish(hub_without_worker.client, PublisherProgramId="DOCTORS")

    assert other.startswith("/events/E:DOCTORS-")
    assert (await read(hub_without_worker.client, other))["Revision"] == 1


async def test_an_event_with_nothing_optional(publisher: httpx.AsyncClient) -> None:
    """Optional fields that were left out, or sent as null, read as null."""
    body = an_event_body(PublisherEventCategory=None, EventEndUtc=None)
    location = await publish(publisher, **dict.fromkeys(("PublisherEventCategory", "EventEndUtc")))
    again = await publisher.post("/events", json=body | {"PublisherEventCategory": None, "EventEndUtc": None})

    assert (200, location) == (again.status_code, again.headers["Location"])
    assert IsPartialDict(PublisherEventCategory=None, EventEndUtc=None) == await read(publisher, location)


async def test_the_ends_of_the_calendar(publisher: httpx.AsyncClient) -> None:
    """Times from year 1 to 9999, .NET's first and last among them, are read as they were sent."""
    for number, (sent, expected) in enumerate(
        [
            ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
            ("0212-03-04T05:06:07Z", "0212-03-04T05:06:07Z"),
            ("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.999999Z"),
        ]
    ):
        location = await publish(publisher, PublisherEventId=f"{number}", EventStartUtc=sent, EventEndUtc=sent)
        again = await publisher.post(
            "/events", json=an_event_body(PublisherEventId=f"{number}", EventStartUtc=sent, EventEndUtc=sent)
        )

        assert IsPartialDict(EventStartUtc=expected, EventEndUtc=expected) == await read(publisher, location)
        assert again.status_code == 200


async def test_put_stores_the_next_revision(publisher: httpx.AsyncClient) -> None:
    """PUT stores the next revision, 200 with its Location and no body; unchanged content changes nothing."""
    first = await publish(publisher)
    changed = await publisher.put(first, json=an_event_body(EventEndUtc=None))
    unchanged = await publisher.put(first, json=an_event_body(EventEndUtc=None))
    second = changed.headers["Location"]

    assert (changed.status_code, changed.content) == (200, b"")
    assert "Content-Type" not in changed.headers
    assert IsPartialDict(Revision=2, Supersedes=first.removeprefix("/events/")) == await read(publisher, second)
    assert (200, second) == (unchanged.status_code, unchanged.headers["Location"])
    assert len(await feed(publisher)) == 2


async def test_replacing_what_is_not_there(publisher: httpx.AsyncClient) -> None:
    """PUT is 404 where there is no event of that id, and where the id has not the form of one."""
    for path in (SOME_EVENT, "/events/nonsense", "/events/NURSES", "/events/E:NURSES-%00"):
        assert (await publisher.put(path, json=an_event_body())).status_code == 404, path
    assert await feed(publisher) == []


async def test_replacing_with_another_source(publisher: httpx.AsyncClient) -> None:
    """PUT is 409 where a part of the source key differs from that of the event in the address."""
    location = await publish(publisher)
    changes: dict[str, Any]
    for changes in (
        {"EventType": "AI_STARTED"},
        {"PublisherSystemId": "LB"},
        {"PublisherEventId": "AI:1235"},
        {"PublisherProgramId": "DOCTORS"},
    ):
        answer = await publisher.put(location, json=an_event_body(**changes))

        assert (answer.status_code, answer.json()["code"]) == (409, "source_key_differs")
    assert len(await feed(publisher)) == 1


async def test_replacing_with_bad_fields(publisher: httpx.AsyncClient) -> None:
    """PUT takes a whole event, and names all bad fields as POST does."""
    location = await publish(publisher)
    answer = await publisher.put(location, json=an_event_body(EventType="X", EventStartUtc=None))

    assert bad_fields(answer) == ["EventType", "EventStartUtc"]


async def test_delete_withdraws_and_the_feed_has_it_once_more(publisher: httpx.AsyncClient) -> None:
    """DELETE withdraws, 204 and again 204; the event reads with WithdrawnUtc, and the feed has it once more."""
    location = await publish(publisher)
    answers = [await publisher.delete(location), await publisher.delete(location)]
    event = await read(publisher, location)
    assert event.pop("SupersededBy") is None

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert IsStr(regex=r".*Z") == event["WithdrawnUtc"]
    without = {name: value for name, value in event.items() if name != "WithdrawnUtc"}
    assert [without, event] == await feed(publisher)


async def test_any_revision_stands_for_its_source(publisher: httpx.AsyncClient) -> None:
    """DELETE by the id of any revision withdraws the latest, also after it was revived; PUT follows the latest."""
    first = await publish(publisher)
    second = await publish(publisher, EventEndUtc=None)
    assert (await publisher.delete(first)).status_code == 204
    assert "WithdrawnUtc" in await read(publisher, second)
    assert "WithdrawnUtc" not in await read(publisher, first)

    third = await publish(publisher, EventEndUtc=None)
    assert [(await publisher.delete(location)).status_code for location in (second, first, third)] == [204] * 3
    assert "WithdrawnUtc" in await read(publisher, third)

    fourth = (await publisher.put(first, json=an_event_body(EventEndUtc=None))).headers["Location"]
    assert IsPartialDict(Revision=4, Supersedes=third.removeprefix("/events/")) == await read(publisher, fourth)
    assert len(await feed(publisher)) == 6


async def test_withdrawing_what_is_not_there(publisher: httpx.AsyncClient) -> None:
    """DELETE and GET are 404 where there is no event."""
    for path in (SOME_EVENT, "/events/nonsense", f"{SOME_EVENT}0"):
        assert [(await publisher.delete(path)).status_code, (await publisher.get(path)).status_code] == [404, 404]


async def test_equal_content_after_a_withdrawal_is_the_next_revision(publisher: httpx.AsyncClient) -> None:
    """Equal content after a withdrawal is the next revision, by POST (201) and by PUT (200)."""
    for method, status in (("POST", 201), ("PUT", 200)):
        first = await publish(publisher, PublisherEventId=method)
        await publisher.delete(first)
        path = "/events" if method == "POST" else first
        answer = await publisher.request(method, path, json=an_event_body(PublisherEventId=method))

        assert status == answer.status_code
        revived = await read(publisher, answer.headers["Location"])
        assert IsPartialDict(Revision=2, Supersedes=first.removeprefix("/events/")) == revived
        assert "WithdrawnUtc" not in revived
        assert "WithdrawnUtc" in await read(publisher, first)
    assert len(await feed(publisher)) == 6


async def test_programs_of_others(hub_without_worker: RunningHub, publisher: httpx.AsyncClient) -> None:
    """A key gets 403 for any Program but its own, whether it exists or not; one for all gets the field."""
    other = await publish(hub_without_worker.client, PublisherProgramId="DOCTORS")
    for program in ("DOCTORS", "NOBODY"):
        answers = [
            await publisher.post("/events", json=an_event_body(PublisherProgramId=program)),
            await publisher.get("/events", params={"ProgramId": program}),
            await publisher.get("/events", params={"EventDateBucket": f"{program}-LB-20261122"}),
        ]
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "program_not_allowed")] * 3
    for path in (other, other.replace("DOCTORS", "NOBODY")):
        assert [
            (await publisher.get(path)).status_code,
            (await publisher.put(path, json=an_event_body())).status_code,
            (await publisher.delete(path)).status_code,
        ] == [403, 403, 403]
    everywhere = await hub_without_worker.caller("publish", "read")
    unknown = await everywhere.post("/events", json=an_event_body(PublisherProgramId="NOBODY", EventType="X"))
    assert bad_fields(unknown) == ["PublisherProgramId", "EventType"]
    assert bad_fields(await everywhere.post("/events", json=an_event_body(PublisherProgramId="NOBODY"))) == [
        "PublisherProgramId"
    ]
    assert bad_fields(await everywhere.get("/events", params={"ProgramId": "NOBODY"})) == ["ProgramId"]
    assert bad_fields(await everywhere.get("/events", params={"EventDateBucket": "NOBODY-LB-20261122"})) == [
        "EventDateBucket"
    ]


async def test_an_archived_program(hub_without_worker: RunningHub, publisher: httpx.AsyncClient) -> None:
    """An archived Program takes nothing more from the moment of the answer, and its history can be read."""
    location = await publish(publisher)
    await hub_without_worker.client.delete("/programs/NURSES")

    assert bad_fields(await publisher.post("/events", json=an_event_body(EventEndUtc=None))) == ["PublisherProgramId"]
    assert bad_fields(await publisher.put(location, json=an_event_body(EventEndUtc=None))) == ["PublisherProgramId"]
    assert len(await feed(publisher)) == 1
    assert (await publisher.get(location)).status_code == 200


async def test_without_the_scope_nothing_is_stored(
    hub_without_worker: RunningHub, publisher: httpx.AsyncClient
) -> None:
    """Without the scope the answer is 403 before query and body are judged, and nothing is stored."""
    location = await publish(publisher)
    reader = await hub_without_worker.caller("read", "process", programs=["NURSES"])
    writer = await hub_without_worker.caller("publish", programs=["NURSES"])
    answers = [
        await reader.post("/events?Nonsense=1", content=b"no JSON", headers={"Content-Type": "text/plain"}),
        await reader.post("/events", content=b"x" * 2_000_000),
        await reader.post("/events/batch", content=b"{"),
        await reader.put(location, content=b"{"),
        await reader.put("/events/nonsense", content=b"{"),
        await reader.delete(location),
        await writer.get("/events?Limit=nonsense"),
        await writer.get(location),
        await writer.get(f"{location}/deliveries"),
    ]

    assert [(403, "scope_missing")] * len(answers) == [(a.status_code, a.json()["code"]) for a in answers]
    assert len(await feed(publisher)) == 1


@pytest.mark.parametrize("hours", [25, -25])
async def test_events_are_created_by_the_clock_of_the_database(hub_without_worker: RunningHub, hours: int) -> None:
    """A hub whose clock is a day off files events, revisions, loads and withdrawals under the day of the database."""
    hub = hub_without_worker
    await hub.make_program()
    client, began = reads_all(hub.client, hub.database), datetime.now(UTC)
    settings, template = {"Url": "https://hooks.example.org"}, {"At": "{{ event.CreatedUtc }}"}
    hook = a_subscriber_body(Connector="webhook", Settings=settings, Credentials=None)
    posts = a_subscription_body(SubscriberId="hook", Target={"Kind": "post"}, Templates={"_default": template})
    assert (await client.put("/subscribers/hook", json=hook)).status_code == 201
    assert (await client.put("/subscriptions/posts", json=posts)).status_code == 201
    with time_machine.travel(began + timedelta(hours=hours), tick=True):
        location = await publish(client, PublisherEventId="AI:1")
        await publish(client, PublisherEventId="AI:1", PublisherEventData={"Score": 2})
        load = json.dumps([an_event_body(PublisherEventId=f"AI:{number}") for number in range(2, 200)])
        assert (await client.post("/events/batch", content=load)).status_code == 200
        assert (await client.delete(location)).status_code == 204
        shown = await client.post("/subscriptions/posts/preview", json={"Event": an_event_body()})
    ended, rows = datetime.now(UTC), await hub.database.fetch("SELECT * FROM event")

    assert len(rows) == 201
    assert began <= datetime.fromisoformat(shown.json()["Payload"]["At"]) <= ended
    for row in rows:
        assert began <= row["created_utc"] <= ended
        assert row["event_date"] == row["created_utc"].date()
        assert row["withdrawn_utc"] is None or began <= row["withdrawn_utc"] <= ended
