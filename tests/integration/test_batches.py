"""Many events in one request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import httpx
import psutil
import pytest
from dirty_equals import IsPartialDict
from factories import an_event_body
from feed_visibility import reads_all
from running import RunningHub, eventually

from learning_hub.api import event_batches as batches
from learning_hub.api.http import body_budget
from learning_hub.services import batch_publishing

LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def publisher(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client that may publish and read for NURSES, which exists beside DOCTORS."""
    await hub_without_worker.make_program()
    await hub_without_worker.make_program("DOCTORS")
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES"])
    return reads_all(client, hub_without_worker.database)


def event(number: int, **changes: Any) -> bytes:
    return json.dumps(an_event_body(PublisherEventId=f"{number}", **changes)).encode()


async def results(client: httpx.AsyncClient, content: bytes, *, lines: bool = False) -> list[dict[str, Any]]:
    answer = await client.post("/events/batch", content=content, headers=LINES if lines else {})
    assert answer.status_code == 200, answer.text
    found = answer.json()["Results"]
    assert list(range(len(found))) == [result["Index"] for result in found]
    return list(found)


async def feed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await client.get("/events?ProgramId=NURSES&Limit=1000")).json()["Items"])


MIXED = [
    event(1),
    event(2, EventType="X", EventStartUtc=None),
    event(3, PublisherProgramId="DOCTORS"),
    event(1),
    event(1, EventEndUtc=None),
    b"[]",
    b"17",
    event(4, PublisherEventData={"a": "x" * 256 * 1024}),
    event(5).replace(b"FIRE-201", b"\\ud800"),
    event(6).replace(b'"FIRE-201"', b"[" * 5000 + b"]" * 5000),
    event(7).replace(b'"FIRE-201"', b"1.30"),
]
STATUSES = [201, 400, 403, 200, 201, 400, 400, 413, 400, 400, 201]


@pytest.mark.parametrize("lines", [False, True])
async def test_each_by_itself(publisher: httpx.AsyncClient, lines: bool) -> None:
    """Each event is answered as it would be alone, in order, and a bad one does not stop the others."""
    content = b"\r\n".join(MIXED) + b"\n\n" if lines else b"[" + b" ,".join(MIXED) + b"]"
    found = await results(publisher, content, lines=lines)
    entries = await feed(publisher)

    assert [result["Status"] for result in found] == STATUSES
    revisions = {(entry["PublisherEventId"], entry["Revision"]): entry["EventId"] for entry in entries}
    assert sorted(revisions) == [("1", 1), ("1", 2), ("7", 1)]
    assert found[0]["EventId"] == found[3]["EventId"] == revisions["1", 1]
    for result in found:
        if result["Status"] in (200, 201):
            assert {"Index", "Status", "EventId", "Location"} == set(result)
            assert f"/events/{result['EventId']}" == result["Location"]
        else:
            assert {"Index", "Status", "Problem"} == set(result)
            assert IsPartialDict(status=result["Status"], instance="/events/batch") == result["Problem"]
    assert [error["field"] for error in found[1]["Problem"]["errors"]] == ["EventType", "EventStartUtc"]
    assert [error["field"] for error in found[8]["Problem"]["errors"]] == ["PublisherEventData.Activity Code"]


async def test_a_bad_line_is_refused_alone(publisher: httpx.AsyncClient) -> None:
    """A bad line of JSON Lines is refused alone; an array that is not well-formed is refused whole."""
    bad = [b"{", b"\xff\xfe", event(2)[:-1], event(3) + event(4), b"{'a':1}"]
    found = await results(publisher, b"\n".join([event(1), *bad, event(9)]), lines=True)
    whole = [
        await publisher.post("/events/batch", content=content)
        for content in (b"[" + event(5) + b",{]", b"[" + event(5), b"", b"{}", b"[" + event(5) + b',"\xff"]', event(5))
    ]

    assert [201, *[400] * len(bad), 201] == [result["Status"] for result in found]
    assert {(400, "malformed_json")} == {(answer.status_code, answer.json()["code"]) for answer in whole}
    assert [entry["PublisherEventId"] for entry in await feed(publisher)] == ["1", "9"]


async def test_an_empty_batch(publisher: httpx.AsyncClient) -> None:
    """A batch of nothing has no results."""
    assert await results(publisher, b"[]") == []
    assert await results(publisher, b"\n \n", lines=True) == []


async def test_a_batch_over_its_limits_is_refused_whole(publisher: httpx.AsyncClient) -> None:
    """More than 10,000 events or 16 MiB are 413, and nothing of them is stored."""
    too_many = await publisher.post("/events/batch", content=b"[" + b",".join([b"{}"] * 10_001) + b"]")
    too_many_lines = await publisher.post("/events/batch", content=b"{}\n" * 10_001, headers=LINES)
    too_long = await publisher.post("/events/batch", content=b"[" + b" " * 16 * 1024 * 1024 + b"]")
    at_limit = await publisher.post("/events/batch", content=b"[" + b" " * (16 * 1024 * 1024 - 2) + b"]")

    assert [a.status_code for a in (too_many, too_many_lines, too_long, at_limit)] == [413, 413, 413, 200]


async def test_every_fault_is_named(hub_without_worker: RunningHub, publisher: httpx.AsyncClient) -> None:
    """A bad event of a batch learns of its Program what it would learn alone, if its key may know."""
    bad = [event(1, PublisherProgramId=program, EventType="x") for program in ("NOPE", "NURSES", "NOPE")]
    for client, faults in ((hub_without_worker.client, ["PublisherProgramId"]), (publisher, [])):
        for lines in (True, False):
            content = b"\n".join(bad) if lines else b"[" + b",".join(bad) + b"]"
            found = await results(client, content, lines=lines)
            named = [[error["field"] for error in result["Problem"]["errors"]] for result in found]
            assert named == [[*faults, "EventType"], ["EventType"], [*faults, "EventType"]]
        alone = await client.post("/events", content=bad[0])
        assert [error["field"] for error in alone.json()["errors"]] == [*faults, "EventType"]


async def test_order_within_a_source(publisher: httpx.AsyncClient) -> None:
    """Contents of one source in one batch become its revisions in the order of the batch."""
    found = await results(publisher, b"\n".join(event(1, PublisherEventData={"n": n}) for n in range(40)), lines=True)
    entries = await feed(publisher)

    assert [entry["EventId"] for entry in entries] == [result["EventId"] for result in found]
    assert [(n + 1, {"n": n}) for n in range(40)] == [(e["Revision"], e["PublisherEventData"]) for e in entries]


async def test_a_large_batch(publisher: httpx.AsyncClient) -> None:
    """Thousands of events in one batch are stored, each once, while others are answered in between."""
    content = b"\n".join(event(number) for number in range(2000))
    first = await results(publisher, content, lines=True)
    again = await results(publisher, content, lines=True)

    assert {201} == {result["Status"] for result in first}
    assert [(200, result["EventId"]) for result in first] == [(result["Status"], result["EventId"]) for result in again]


async def test_a_batch_is_a_json_array_or_json_lines(publisher: httpx.AsyncClient) -> None:
    """A batch is an array of JSON or JSON Lines; anything else is 415."""
    answer = await publisher.post("/events/batch", content=b"[]", headers={"Content-Type": "text/csv"})

    assert answer.status_code == 415


async def test_a_key_revoked_in_the_middle(hub_without_worker: RunningHub) -> None:
    """Of a batch whose key is revoked while it is written, what was not with the writer yet is 401, each by itself."""
    hub = hub_without_worker
    await hub.make_program()
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["NURSES"], "Scopes": ["publish"]})).json()
    count = batch_publishing.SUBMITTED_AT_ONCE * (batch_publishing.MOST_UNDER_WAY + 1)
    content = b"\n".join(event(number) for number in range(count))

    async def waits_for_the_table() -> int:
        return int(await hub.database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with hub.database.transaction() as connection:
        await connection.execute("LOCK TABLE event IN EXCLUSIVE MODE")
        publishing = asyncio.create_task(results(hub.client_with(made["Key"]), content, lines=True))
        await eventually(waits_for_the_table)
        await hub.client.delete(f"/keys/{made['KeyId']}")
    statuses = [result["Status"] for result in await publishing]

    assert statuses == sorted(statuses)
    assert (statuses[0], statuses[-1]) == (201, 401)
    assert await hub.database.fetchval("SELECT count(*) FROM event") == statuses.count(201)


async def test_a_batch_that_is_held_up_is_in_nobody_elses_way(
    hub_without_worker: RunningHub, publisher: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declared large and slow, batches of one key hold up batches of this key alone, and are given up after a while."""
    monkeypatch.setattr(body_budget, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(batches, "STALLS_AFTER_SECONDS", 3)
    lines = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection(publisher.base_url.host, publisher.base_url.port)
        head = f"POST /events/batch HTTP/1.1\r\nHost: x\r\nX-API-Key: {publisher.headers['X-API-Key']}\r\n"
        writer.write(f"{head}Content-Length: {batches.MAX_BYTES}\r\n\r\n[".encode())
        lines.append((reader, writer))
    await hub_without_worker.bodies_are_received(2)

    refused = await publisher.post("/events/batch", content=b"[" + event(1) + b"]")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_bodies")
    assert refused.headers["Retry-After"]
    other = await hub_without_worker.caller("publish", programs=["NURSES"])
    assert [result["Status"] for result in await results(other, b"[" + event(1) + b"]")] == [201]
    for reader, writer in lines:
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert [result["Status"] for result in await results(publisher, b"[" + event(2) + b"]")] == [201]


async def test_a_body_that_trickles_in_is_given_up(
    publisher: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of which something comes again and again, and too little, does not keep its room until it is whole."""
    monkeypatch.setattr(batches, "STALLS_AFTER_SECONDS", 1)
    reader, writer = await asyncio.open_connection(publisher.base_url.host, publisher.base_url.port)
    head = f"POST /events/batch HTTP/1.1\r\nHost: x\r\nX-API-Key: {publisher.headers['X-API-Key']}\r\n"
    writer.write(f"{head}Content-Length: {batches.MAX_BYTES}\r\n\r\n[".encode())
    answer = asyncio.create_task(reader.readline())
    for _ in range(200):
        if answer.done():
            break
        writer.write(b" ")
        await asyncio.sleep(0.05)

    assert answer.done()
    assert b" 408 " in await answer
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_answer_lists_a_thousand_bad_fields(publisher: httpx.AsyncClient) -> None:
    """Of many bad lines a hundred bad fields each are listed for the first ten; of the others they are only counted."""
    line = json.dumps({f"Unknown {number}": 1 for number in range(228)}).encode() + b"\n"
    before = psutil.Process().memory_info().rss

    answer = await publisher.post(
        "/events/batch", content=line * 2000, headers={"Content-Type": "application/x-ndjson"}
    )

    problems = [result["Problem"] for result in answer.json()["Results"]]
    assert [len(problem.get("errors", [])) for problem in problems] == [100] * 10 + [0] * 1990
    assert "more bad fields are not listed" in problems[0]["detail"]
    assert problems[10]["detail"].endswith(" more bad fields are not listed.")
    assert len(answer.content) < 2_000_000
    # The body has 10 million bytes, and is there several times.
    assert psutil.Process().memory_info().rss - before < 60_000_000


async def test_an_event_lists_a_hundred_bad_fields(publisher: httpx.AsyncClient) -> None:
    """A single event lists a hundred bad fields, and says how many more there are."""
    body = {f"Unknown {number}": 1 for number in range(228)}

    problem = (await publisher.post("/events", json=body)).json()

    missing = sum(error["message"] == "is required" for error in problem["errors"])
    assert len(problem["errors"]) == 100
    assert problem["detail"].endswith(f" and 80 more. {missing + 228 - 100} more bad fields are not listed.")
