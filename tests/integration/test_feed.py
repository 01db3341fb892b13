"""The feed over HTTP: filters, pages, cursors, and waiting."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from factories import an_event_body
from feed_visibility import caught_up, reads_all
from running import RunningHub

from learning_hub.model.feed import Position, read_cursor, write_cursor
from learning_hub.store.feed import FeedPart, read_feed

pytestmark = pytest.mark.usefixtures("one_day")


@pytest.fixture
async def reader(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client that may publish and read for NURSES alone."""
    await hub_without_worker.make_program()
    await hub_without_worker.make_program("DOCTORS")
    reads_all(hub_without_worker.client, hub_without_worker.database)
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES"])
    return reads_all(client, hub_without_worker.database)


async def publish(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await client.post("/events", json=an_event_body(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


async def page(client: httpx.AsyncClient, **query: Any) -> tuple[list[dict[str, Any]], str]:
    answer = await client.get("/events", params=query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"Items", "NextCursor"}
    assert answer.json()["NextCursor"]
    return answer.json()["Items"], answer.json()["NextCursor"]


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [item["PublisherEventId"] for item in (await page(client, **query))[0]]


async def test_each_filter_of_the_feed_is_exact(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """Each filter is exact, by itself and together with others; what none has is an empty page."""
    await publish(reader, PublisherEventId="1")
    await publish(reader, PublisherEventId="2", PublisherSystemId="LB", EventType="AI_STARTED")
    await publish(reader, PublisherEventId="3", PublisherEventCategory={"value": "online"})
    await publish(reader, PublisherEventId="4", PublisherEventCategory=None)
    await publish(reader, PublisherEventId="é %_'\\", PublisherParticipantId="a+b@example.org")
    await publish(hub_without_worker.client, PublisherProgramId="DOCTORS", PublisherEventId="1")
    today = f"NURSES-LB-{datetime.now(UTC):%Y%m%d}"
    expected: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["1", "2", "3", "4", "é %_'\\"]),
        ({"ProgramId": "NURSES"}, ["1", "2", "3", "4", "é %_'\\"]),
        ({"EventDateBucket": today}, ["1", "2", "3", "4", "é %_'\\"]),
        ({"EventDateBucket": today, "ProgramId": "NURSES", "EventType": "AI_STARTED"}, ["2"]),
        ({"EventDateBucket": "NURSES-LB-20010101"}, []),
        ({"PublisherSystemId": "LB"}, ["2"]),
        ({"PublisherSystemId": "lb"}, []),
        ({"PublisherSystemId": "TopClass"}, ["1", "3", "4", "é %_'\\"]),
        ({"EventType": "AI_STARTED"}, ["2"]),
        ({"EventType": "AI_REOPENED"}, []),
        ({"Category": "Online"}, ["1", "2", "é %_'\\"]),
        ({"Category": "online"}, ["3"]),
        ({"Category": "Online course"}, []),
        ({"PublisherParticipantId": "a+b@example.org"}, ["é %_'\\"]),
        ({"PublisherParticipantId": "robin.vale@example"}, []),
        ({"PublisherEventId": "1"}, ["1"]),
        ({"PublisherEventId": "é %_'\\"}, ["é %_'\\"]),
        ({"PublisherEventId": "%"}, []),
        ({"Category": "Online", "PublisherSystemId": "LB", "PublisherEventId": "1"}, []),
        ({"CreatedSince": "9999-12-31T23:59:59.9999999Z"}, []),
        ({"CreatedSince": "0001-01-01T00:00:00"}, ["1", "2", "3", "4", "é %_'\\"]),
    ]
    for query, found in expected:
        assert await ids(reader, **query) == found, query


async def test_created_since_takes_that_instant_and_later(reader: httpx.AsyncClient) -> None:
    """CreatedSince takes what was created at that instant or later, whatever its offset."""
    await publish(reader, PublisherEventId="1")
    second = (await reader.get(await publish(reader, PublisherEventId="2"))).json()["CreatedUtc"]
    elsewhere = datetime.fromisoformat(second).astimezone().isoformat()

    assert await ids(reader, CreatedSince=second) == ["2"]
    assert await ids(reader, CreatedSince=elsewhere) == ["2"]


async def test_which_filters_are_needed(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """A key with one Program needs no filter; any other needs the Program or the bucket, and gets no other's events."""
    await publish(reader)
    several = await hub_without_worker.caller("read", programs=["NURSES", "DOCTORS"])
    reads_all(several, hub_without_worker.database)
    for client in (several, hub_without_worker.client):
        for query in ({}, {"EventType": "AI_COMP_SUCCESS"}, {"CreatedSince": "2000-01-01T00:00:00Z"}):
            answer = await client.get("/events", params=query)
            assert answer.status_code == 400
            assert [error["field"] for error in answer.json()["errors"]] == ["ProgramId"]
        assert await ids(client, ProgramId="NURSES") == ["AI:1234"]
        assert await ids(client, ProgramId="DOCTORS") == []
        assert await ids(client, EventDateBucket=f"NURSES-LB-{datetime.now(UTC):%Y%m%d}") == ["AI:1234"]
    assert await ids(reader) == ["AI:1234"]


async def test_pages_give_each_entry_once_and_in_order(reader: httpx.AsyncClient) -> None:
    """Pages of any size, followed by their cursors, give each entry once and in one order; the last cursor goes on."""
    for number in range(7):
        await publish(reader, PublisherEventId=f"{number}")
    for limit in (1, 2, 3, 7, 8, 1000):
        cursor: dict[str, str] = {}
        seen: list[str] = []
        while True:
            items, after = await page(reader, Limit=limit, **cursor)
            assert len(items) <= limit
            seen += [item["PublisherEventId"] for item in items]
            cursor = {"Cursor": after}
            if not items:
                break
        assert seen == [f"{number}" for number in range(7)], limit
    await publish(reader, PublisherEventId="later")
    assert await ids(reader, Limit=limit, **cursor) == ["later"]
    assert await ids(reader, Limit=limit, **cursor) == ["later"]


async def test_cursors_stay_valid(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """
    A cursor of the end, taken any number of times, sees what comes after it, with another filter as well.

    One of a life of the database that this one knows nothing of sees all of the present one.
    """
    _, empty = await page(reader)
    await publish(reader, PublisherEventId="1")
    _, after_one = await page(reader)
    await publish(reader, PublisherEventId="2")
    await publish(hub_without_worker.client, PublisherProgramId="DOCTORS", PublisherEventId="3")

    assert await ids(reader, Cursor=empty) == ["1", "2"]
    assert await ids(reader, Cursor=after_one) == ["2"]
    assert await ids(reader, Cursor=after_one, PublisherEventId="1") == []
    assert await ids(hub_without_worker.client, ProgramId="DOCTORS", Cursor=empty) == ["3"]
    assert await ids(reader, Cursor=write_cursor(Position(2**31 - 1, 2**63 - 1, 2**63 - 1))) == ["1", "2"]
    position = read_cursor(after_one)
    ahead = write_cursor(Position(position.epoch, position.xid + 2**40, 0))
    assert await ids(reader, Cursor=ahead) == ["1", "2"], "its transaction is later than any of this epoch"


async def test_a_narrow_filter_moves_on(reader: httpx.AsyncClient) -> None:
    """A filter that finds nothing gives a cursor of the end, so that the same entries are not looked at again."""
    _, before = await page(reader)
    await publish(reader)
    _, after = await page(reader, Category="None")

    assert before != after
    assert await ids(reader, Cursor=after) == []


async def test_withdrawals_are_entries(reader: httpx.AsyncClient) -> None:
    """A withdrawal is the event once more with WithdrawnUtc, at its own place, and filtered as the event."""
    first = await publish(reader, PublisherEventId="1")
    await publish(reader, PublisherEventId="2")
    _, cursor = await page(reader)
    await reader.delete(first)
    (entry,), _ = await page(reader, Cursor=cursor)

    assert entry | {"SupersededBy": None} == (await reader.get(first)).json()
    assert await ids(reader) == ["1", "2", "1"]
    assert await ids(reader, PublisherEventId="1") == ["1", "1"]
    assert ["WithdrawnUtc" in item for item in (await page(reader))[0]] == [False, False, True]
    assert await ids(reader, EventDateBucket=entry["EventDateBucket"]) == ["1", "2", "1"]


async def test_wait_holds_an_empty_answer_until_something_comes(
    hub_without_worker: RunningHub, reader: httpx.AsyncClient
) -> None:
    """Wait holds an empty answer until something comes, and no longer than it says; what is there is given at once."""
    _, cursor = await page(reader)
    # What is measured must not wait for the writers of other tests before it is even sent.
    impatient = await hub_without_worker.caller("read", programs=["NURSES"])
    began = time.monotonic()
    assert await ids(impatient, Cursor=cursor, Wait=1) == []
    assert 0.9 < time.monotonic() - began < 10

    began = time.monotonic()
    held = [asyncio.create_task(ids(impatient, Cursor=cursor, Wait=30)) for _ in range(3)]
    await hub_without_worker.readers_wait(3)
    elsewhere = asyncio.create_task(ids(hub_without_worker.client, ProgramId="DOCTORS", Cursor=cursor, Wait=1))
    await publish(reader)
    assert await asyncio.gather(*held) == [["AI:1234"]] * 3
    assert await elsewhere == []
    assert time.monotonic() - began < 25

    await caught_up(hub_without_worker.database)
    began = time.monotonic()
    assert await ids(impatient, Wait=30) == ["AI:1234"]
    assert time.monotonic() - began < 10


async def test_waiting_for_a_withdrawal(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """A withdrawal ends the waiting as a new event does."""
    location = await publish(reader)
    _, cursor = await page(reader)
    held = asyncio.create_task(ids(reader, Cursor=cursor, Wait=30))
    await hub_without_worker.readers_wait()
    await reader.delete(location)

    assert await asyncio.wait_for(held, 25) == ["AI:1234"]


async def test_what_is_held_back_for_a_moment(hub_without_worker: RunningHub) -> None:
    """A publisher that has its answer finds its event, though a transaction begun before is still open just then."""
    await hub_without_worker.make_program()
    client = hub_without_worker.client
    begun = asyncio.Event()

    async def hold() -> None:
        async with hub_without_worker.database.transaction() as connection:
            await connection.execute("SELECT pg_current_xact_id()")
            begun.set()
            await stored.wait()
            await asyncio.sleep(0.1)

    stored = asyncio.Event()
    holding = asyncio.create_task(hold())
    await begun.wait()
    await publish(client, PublisherEventId="1")
    await publish(client, PublisherEventId="2")
    stored.set()
    assert await ids(client, ProgramId="NURSES") == ["1", "2"]
    await holding


async def test_an_idle_feed_is_not_sent_again(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """As long as nothing comes, the ETag of a page holds, whatever else is written on the server."""
    await hub_without_worker.client.post("/events", json=an_event_body())
    page = await reader.get("/events")
    for number in range(3):
        await hub_without_worker.make_program(f"P{number}")
        again = await reader.get("/events", headers={"If-None-Match": page.headers["ETag"]})
        assert again.status_code == 304
    await hub_without_worker.client.post("/events", json=an_event_body(PublisherEventId="AI:2"))
    assert (await reader.get("/events", headers={"If-None-Match": page.headers["ETag"]})).status_code == 200


async def test_every_bad_parameter_of_the_feed_is_named(hub_without_worker: RunningHub) -> None:
    """What names no day and a cursor that the hub did not give are reported together."""
    answer = await hub_without_worker.client.get("/events", params={"EventDateBucket": "x", "Cursor": "nonsense"})
    assert [error["field"] for error in answer.json()["errors"]] == ["EventDateBucket", "Cursor"]


async def test_pages_that_did_not_change(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """A full page is not sent again, one at the end not until something follows it; a tag is good for its question."""
    for number in range(3):
        await publish(reader, PublisherEventId=f"{number}")
    today = f"NURSES-LB-{datetime.now(UTC):%Y%m%d}"

    async def ask(tag: str, **query: Any) -> int:
        answer = await reader.get("/events", params=query, headers={"If-None-Match": tag})
        if answer.status_code == 304:
            assert (answer.content, answer.headers["ETag"]) == (b"", tag)
        return answer.status_code

    full: dict[str, Any] = {"EventDateBucket": today, "Limit": 2}
    end: dict[str, Any] = {"EventDateBucket": today, "Limit": 10}
    tags = [(await reader.get("/events", params=query)).headers["ETag"] for query in (full, end)]
    assert [await ask(tags[0], **full), await ask(tags[1], **end)] == [304, 304]
    assert [await ask(tags[1], **full), await ask(tags[0], **end)] == [200, 200]
    assert await ask(tags[1], **end, PublisherEventId="1") == 200

    await publish(hub_without_worker.client, PublisherProgramId="DOCTORS")
    assert [await ask(tags[0], **full), await ask(tags[1], **end)] == [304, 304]
    await publish(reader, PublisherEventId="3")
    assert [await ask(tags[0], **full), await ask(tags[1], **end)] == [304, 200]

    await hub_without_worker.database.execute("DELETE FROM event WHERE publisher_event_id = '1'")
    assert await ask(tags[0], **full) == 200


async def test_waiting_with_a_tag(hub_without_worker: RunningHub, reader: httpx.AsyncClient) -> None:
    """Who waits at the end with the tag of an empty page is held until something comes, or told that nothing did."""
    await publish(reader, PublisherEventId="1")
    _, cursor = await page(reader)
    query: dict[str, Any] = {"Cursor": cursor, "Wait": 1}
    tag = (await reader.get("/events", params=query)).headers["ETag"]
    # Something else is written on the server in between.
    await hub_without_worker.make_program("OTHER")
    assert (await reader.get("/events", params=query, headers={"If-None-Match": tag})).status_code == 304
    waiting = asyncio.create_task(
        reader.get("/events", params=query | {"Wait": 30}, headers={"If-None-Match": tag}, timeout=60)
    )
    await asyncio.sleep(0)
    await publish(reader, PublisherEventId="2")
    answer = await waiting
    assert [item["PublisherEventId"] for item in answer.json()["Items"]] == ["2"]


async def test_requests_that_wait_share_their_reads(
    hub_without_worker: RunningHub, reader: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one key fifty requests that wait with one filter read once when an event is committed, and get it."""
    reads = 0

    async def read_and_count(*arguments: Any) -> FeedPart:
        nonlocal reads
        reads += 1
        return await read_feed(*arguments)

    _, cursor = await page(reader)
    held = [asyncio.create_task(ids(reader, Cursor=cursor, Wait=30, Limit=1 + number % 2)) for number in range(50)]
    await hub_without_worker.readers_wait(50)
    monkeypatch.setattr("learning_hub.services.feed.read_feed", read_and_count)
    await publish(reader)

    assert [await one for one in held] == [["AI:1234"]] * 50
    # Those whose half second of waiting ended at that moment may have read before.
    assert reads < 20


async def test_readers_of_one_key_that_wait_are_bounded(
    hub_without_worker: RunningHub, reader: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More waiting requests of one key than a hundred are 429; other keys wait, and so does this one again later."""
    monkeypatch.setattr("learning_hub.services.feed.MOST_WAITING", 2)
    _, cursor = await page(reader)
    held = [asyncio.create_task(ids(reader, Cursor=cursor, Wait=30)) for _ in range(2)]
    await hub_without_worker.readers_wait(2)

    refused = await reader.get("/events", params={"Cursor": cursor, "Wait": 30})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_readers")
    assert refused.headers["Retry-After"]
    assert await ids(hub_without_worker.client, ProgramId="NURSES", Cursor=cursor, Wait=1) == []

    await publish(reader)
    assert [await one for one in held] == [["AI:1234"]] * 2
    _, end = await page(reader)
    assert await ids(reader, Cursor=end, Wait=1) == []
