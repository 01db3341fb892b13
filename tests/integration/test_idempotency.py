"""Idempotency-Key: the same key again is answered as the first time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from factories import an_event_body
from feed_visibility import reads_all
from running import RunningHub


@pytest.fixture
async def publisher(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client that may publish and read for NURSES and DOCTORS."""
    await hub_without_worker.make_program()
    await hub_without_worker.make_program("DOCTORS")
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES", "DOCTORS"])
    return reads_all(client, hub_without_worker.database)


async def post(client: httpx.AsyncClient, key: str | bytes | None, **changes: Any) -> tuple[int, str]:
    """Publish with a key; returns the status and the Location, or the code of the problem."""
    headers = httpx.Headers(
        [] if key is None else [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]
    )
    answer = await client.post("/events", json=an_event_body(**changes), headers=headers)
    return answer.status_code, answer.headers.get("Location") or answer.json()["code"]


async def count(client: httpx.AsyncClient) -> int:
    return len((await client.get("/events?ProgramId=NURSES&Limit=1000")).json()["Items"])


async def test_as_the_first_time(hub_without_worker: RunningHub, publisher: httpx.AsyncClient) -> None:
    """A key is answered 201 with the first Location again, whatever came between: revisions, withdrawals, archiving."""
    first = await post(publisher, "k1")
    assert first == await post(publisher, "k1")
    second = await post(publisher, None, EventEndUtc=None)
    assert first == await post(publisher, "k1")
    await publisher.delete(second[1])
    assert first == await post(publisher, "k1")
    await hub_without_worker.client.delete("/programs/NURSES")
    assert first == await post(publisher, "k1")

    assert first[0] == 201
    assert await count(publisher) == 3


async def test_a_first_answer_of_200_stays(publisher: httpx.AsyncClient) -> None:
    """A key that was first answered 200 is answered so again, with the same Location, after a revision as well."""
    stored = await post(publisher, None)
    same = await post(publisher, "k")
    revision = await post(publisher, None, EventEndUtc=None)

    assert (200, stored[1]) == same == await post(publisher, "k")
    assert revision[0] == 201


async def test_an_event_that_overtakes_itself(publisher: httpx.AsyncClient) -> None:
    """A late repetition of an earlier revision with its key stores nothing; without the key it would be a revision."""
    earlier = await post(publisher, "k1")
    await post(publisher, "k2", EventEndUtc=None)

    assert earlier == await post(publisher, "k1")
    assert await count(publisher) == 2


async def test_a_key_with_other_content_is_refused(publisher: httpx.AsyncClient) -> None:
    """The same key with other content, or of another source, is 409 and stores nothing."""
    await post(publisher, "k")

    assert await post(publisher, "k", EventEndUtc=None) == (409, "idempotency_key_reused")
    assert await post(publisher, "k", PublisherEventId="AI:1235") == (409, "idempotency_key_reused")
    assert await post(publisher, "k", EventType="AI_STARTED") == (409, "idempotency_key_reused")
    assert await count(publisher) == 1


async def test_equal_content_spelled_differently_is_the_same_to_a_key(publisher: httpx.AsyncClient) -> None:
    """Content that is spelled differently and equal is the same content to a key as well."""
    first = await post(publisher, "k")

    assert first == await post(publisher, "k", EventStartUtc="2026-11-20T09:00:00-05:00")


async def test_a_key_is_of_one_program(publisher: httpx.AsyncClient) -> None:
    """Another Program's publisher may use the same key."""
    await post(publisher, "k")

    assert (await post(publisher, "k", PublisherProgramId="DOCTORS"))[0] == 201


async def test_a_refused_event_leaves_its_key_free(publisher: httpx.AsyncClient) -> None:
    """A key whose event was refused can be used with the fixed one."""
    assert (await post(publisher, "k", EventType="X"))[0] == 400
    assert (await post(publisher, "k"))[0] == 201


async def test_a_key_has_1_to_200_characters(publisher: httpx.AsyncClient) -> None:
    """A key has 1 to 200 characters of any kind; one with more, or with none, is 400 and stores nothing."""
    assert await post(publisher, "x" * 201) == (400, "invalid_fields")
    assert await post(publisher, "") == (400, "invalid_fields")
    assert await count(publisher) == 0
    assert (await post(publisher, "x" * 200))[0] == 201
    assert (await post(publisher, ("é" * 200).encode(), PublisherEventId="3"))[0] == 201
    assert await post(publisher, ("é" * 201).encode()) == (400, "invalid_fields")
    assert (await post(publisher, "é' OR 1=1 --\t\xff".encode("latin-1"), PublisherEventId="2"))[0] == 201


async def test_many_at_once(publisher: httpx.AsyncClient) -> None:
    """One key sent many times at once is answered 201 with one Location each time, and one event results."""
    answers = await asyncio.gather(*[post(publisher, "k") for _ in range(30)])

    assert {(201, answers[0][1])} == set(answers)
    assert await count(publisher) == 1


async def test_many_contents_at_once(publisher: httpx.AsyncClient) -> None:
    """Of many contents sent at once under one key exactly one is stored; the others are 409."""
    answers = await asyncio.gather(*[post(publisher, "k", PublisherEventId=f"{number}") for number in range(30)])

    assert sorted(status for status, _ in answers) == [201] + [409] * 29
    assert await count(publisher) == 1


async def forecast(client: httpx.AsyncClient, key: str, **changes: Any) -> tuple[str | None, str | None]:
    """What ValidateOnly says: what the event would be, or the code of the problem."""
    body = an_event_body(**changes)
    answer = await client.post("/events?ValidateOnly=true", json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["Valid"] == (found["Problem"] is None)
    return found["WouldBe"], (found["Problem"] or {}).get("code")


async def test_a_forecast_knows_the_key(hub_without_worker: RunningHub, publisher: httpx.AsyncClient) -> None:
    """ValidateOnly says of an Idempotency-Key what publishing with it would answer, and leaves it free."""
    assert await forecast(publisher, "k") == ("new", None)
    await post(publisher, "k")
    await post(publisher, None, EventEndUtc=None)

    assert await forecast(publisher, "k") == ("same", None)
    assert await forecast(publisher, "other") == ("revision", None)
    assert await forecast(publisher, "k", EventEndUtc=None) == (None, "idempotency_key_reused")
    assert await forecast(publisher, "x" * 201) == (None, "invalid_fields")
    await hub_without_worker.client.delete("/programs/NURSES")
    assert await forecast(publisher, "k") == ("same", None)
    assert await forecast(publisher, "other") == (None, "invalid_fields")


async def test_a_bad_key_is_named_with_the_bad_fields(publisher: httpx.AsyncClient) -> None:
    """An Idempotency-Key that is too long is named together with what is wrong with the event."""
    body, headers = an_event_body(EventType="x"), {"Idempotency-Key": "x" * 201}
    answer = await publisher.post("/events", json=body, headers=headers)

    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key", "EventType"]


async def test_a_bad_key_is_named_with_a_program_that_is_not_there(hub_without_worker: RunningHub) -> None:
    """For a key of all Programs, also where nothing else is wrong with the event."""
    body, headers = an_event_body(PublisherProgramId="NOBODY"), {"Idempotency-Key": "x" * 201}
    answer = await hub_without_worker.client.post("/events", json=body, headers=headers)
    assert [error["field"] for error in answer.json()["errors"]] == ["PublisherProgramId", "Idempotency-Key"]
