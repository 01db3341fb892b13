"""Bodies of all kinds: what is kept to the character, and what is refused with the right answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from factories import an_event_body
from feed_visibility import reads_all
from running import ADMIN_KEY, RunningHub, eventually

KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
async def publisher(hub_without_worker: RunningHub) -> httpx.AsyncClient:
    """A client that may publish and read for NURSES."""
    await hub_without_worker.make_program()
    client = await hub_without_worker.caller("publish", "read", programs=["NURSES"])
    return reads_all(client, hub_without_worker.database)


def with_data(data: bytes, **changes: Any) -> bytes:
    """A body whose data are just these bytes."""
    return json.dumps(an_event_body(PublisherEventData="@", **changes)).encode().replace(b'"@"', data)


def data_of(answer: httpx.Response) -> bytes:
    """The bytes of PublisherEventData in an event that was read."""
    return answer.content.partition(b'"PublisherEventData":')[2].rpartition(b',"EventStartUtc"')[0]


KEPT = [
    b"{}",
    b'{"z":1,"a":2,"m":3}',
    b'{"Credits":1.30,"b":1e2,"c":1E+2,"d":-0,"e":-0.0,"f":0.1000000000000000000000001}',
    b'{"n":12345678901234567890123456789012345678901234567890,"tiny":1e-400}',
    b'{"a":1,"a":2,"a":1}',
    b'{ "a" :\t[ 1 ,\r\n 2 ] , "b" : { } }',
    b'{"a":"\\u00e4\\u00E4\\/\\b\\f\\n\\r\\t\\"\\\\\\ud83d\\ude00","\\u0062":""}',
    '{"ключ":"值 😀 \u2028 \x7f \ufeff \ufffe"}'.encode(),
    b'{"":{"":[[],{},null,true,false]}}',
    b'{"a":' * 100 + b"1" + b"}" * 100,
    b'{"' + b"k" * 5000 + b'":"' + b"v" * 5000 + b'"}',
]


async def test_data_are_kept_to_the_character(publisher: httpx.AsyncClient) -> None:
    """Data are read back byte for byte, by id and in the feed: order, spelling, escapes, repeated keys, spaces."""
    for number, data in enumerate(KEPT):
        posted = await publisher.post("/events", content=with_data(data, PublisherEventId=f"{number}"))
        assert posted.status_code == 201, posted.text
        listed = await publisher.get("/events", params={"PublisherEventId": f"{number}"})

        assert data == data_of(await publisher.get(posted.headers["Location"]))
        assert data == data_of(listed)


def field(name: str, value: bytes) -> bytes:
    return json.dumps(an_event_body(**{name: "@"})).encode().replace(b'"@"', value)


DEEP = b"[" * 60_000 + b"]" * 60_000
BAD_FIELDS: list[tuple[str, bytes, list[str]]] = [
    ("a NUL in the data", with_data(b'{"a":["x\\u0000"]}'), ["PublisherEventData.a[0]"]),
    ("a NUL in a key of the data", with_data(b'{"a":{"\\u0000":1}}'), ["PublisherEventData.a"]),
    ("a lone surrogate in the data", with_data(b'{"a":{"b":"\\ud800"}}'), ["PublisherEventData.a.b"]),
    ("a reversed pair", with_data(b'{"a":"\\ude00\\ud83d"}'), ["PublisherEventData.a"]),
    ("a lone surrogate behind a repeated key", with_data(b'{"a":"\\udfff","a":1}'), ["PublisherEventData.a"]),
    ("too large a number", with_data(b'{"a":1e400}'), ["PublisherEventData.a"]),
    ("too large a negative number", with_data(b'{"a":[-1e309]}'), ["PublisherEventData.a[0]"]),
    ("an integer of 5000 digits", with_data(b'{"a":' + b"9" * 5000 + b"}"), ["PublisherEventData.a"]),
    ("an exponent of 30 digits", with_data(b'{"a":1e' + b"9" * 30 + b"}"), ["PublisherEventData.a"]),
    ("101 levels", with_data(b'{"a":' * 101 + b"1" + b"}" * 101), ["PublisherEventData"]),
    ("60,000 levels", with_data(b'{"a":' + DEEP + b"}"), ["PublisherEventData"]),
    ("data as a list", with_data(b"[]"), ["PublisherEventData"]),
    ("data as text", with_data(b'"{}"'), ["PublisherEventData"]),
    ("data as null", with_data(b"null"), ["PublisherEventData"]),
    ("a NUL in a text", field("PublisherEventId", b'"a\\u0000b"'), ["PublisherEventId"]),
    ("a lone surrogate in a text", field("PublisherParticipantId", b'"\\ud800"'), ["PublisherParticipantId"]),
    ("a number for a text", field("PublisherSystemId", b"1"), ["PublisherSystemId"]),
    ("an object for a text", field("PublisherSystemId", b'{"a":1}'), ["PublisherSystemId"]),
    ("depth for a text", field("PublisherSystemId", DEEP), ["PublisherSystemId"]),
    ("a huge number for a text", field("PublisherSystemId", b"9" * 5000), ["PublisherSystemId"]),
    ("a list for a category", field("PublisherEventCategory", b"[]"), ["PublisherEventCategory"]),
    ("a bad category", field("PublisherEventCategory", b'{"value":1,"x":2}'),
     ["PublisherEventCategory.value", "PublisherEventCategory.x"]),
    ("a surrogate in a category", field("PublisherEventCategory", b'{"value":"\\ud800"}'),
     ["PublisherEventCategory.value"]),
    ("a number for a time", field("EventStartUtc", b"1795000000"), ["EventStartUtc"]),
    ("a time out of range", field("EventStartUtc", b'"0001-01-01T00:00:00+01:00"'), ["EventStartUtc"]),
    ("a day that is not", field("EventEndUtc", b'"2026-02-29T00:00:00Z"'), ["EventEndUtc"]),
    ("an unknown field", with_data(b"{}", Extra=1), ["Extra"]),
    ("an unknown field with depth", with_data(b"{}", Extra="#").replace(b'"#"', DEEP), ["Extra"]),
    ("an unknown field with a surrogate", with_data(b"{}") [:-1] + b', "\\ud800\\u0000": 1}', ["\\ud800\\x00"]),
]  # fmt: skip


async def test_bad_fields_are_named(publisher: httpx.AsyncClient) -> None:
    """Whatever is wrong within a body that can be read is 400 with the place of the fault, and nothing is stored."""
    for what, body, places in BAD_FIELDS:
        answer = await publisher.post("/events", content=body)
        assert (400, "invalid_fields", places) == (
            answer.status_code,
            answer.json()["code"],
            [error["field"] for error in answer.json()["errors"]],
        ), what
        assert all(error["message"] for error in answer.json()["errors"]), what
    assert (await publisher.get("/events")).json()["Items"] == []


async def test_all_bad_fields_are_named_at_once(publisher: httpx.AsyncClient) -> None:
    """Every bad field is listed, and what an EventType may be stands in its message."""
    body = an_event_body(
        PublisherSystemId="",
        EventType="AI_COMPLETED",
        PublisherEventCategory={"label": "x" * 401},
        PublisherEventData=[],
        EventStartUtc="yesterday",
        PublisherParticipantId=None,
        Extra=1,
    )
    errors = {
        error["field"]: error["message"] for error in (await publisher.post("/events", json=body)).json()["errors"]
    }

    assert {
        "PublisherSystemId",
        "EventType",
        "PublisherParticipantId",
        "PublisherEventCategory.value",
        "PublisherEventCategory.label",
        "PublisherEventData",
        "EventStartUtc",
        "Extra",
    } == set(errors)
    for name in ("AI_COMP_SUCCESS", "LPI_STARTED", "LPI_COMP_UNSUCCESS", "LPI_COMP_SUCCESS", "LPI_REOPENED",
                 "AI_STARTED", "AI_COMP_UNSUCCESS", "AI_REOPENED"):  # fmt: skip
        assert name in errors["EventType"]


async def test_bodies_that_cannot_be_read(publisher: httpx.AsyncClient) -> None:
    """What is no JSON object in UTF-8 is 400 with a sentence."""
    for body in (
        b"", b" \n", b"{", b"[]", b"null", b"1", b'"{}"', b"{}{}", b"{'a':1}", b'{"a":NaN}', b'{"a":"\x01"}',
        b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', "{}".encode("utf-16"), b"\x00", b"<xml/>", b"a=b&c=d",
        b"[" * 500_000, b'{"a":"\\ud800",}', with_data(b'{"a":"\t"}'), with_data(b'{"a":01}'), with_data(b"{")[:-1],
    ):  # fmt: skip
        answer = await publisher.post("/events", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), body[:40]
        assert answer.json()["detail"].endswith("."), body[:40]


async def test_the_last_of_a_repeated_key_counts(publisher: httpx.AsyncClient) -> None:
    """Of a repeated JSON key the last counts, in the event, its category and, for comparing, its data."""
    body = with_data(b'{"a":1,"a":2}').replace(b'{"PublisherProgramId"', b'{"EventType":1,"PublisherProgramId"')
    body = body.replace(b'{"value"', b'{"value":"x","value"')
    posted = await publisher.post("/events", content=body)
    again = await publisher.post("/events", content=with_data(b'{"a":2}'))

    assert [posted.status_code, again.status_code] == [201, 200]
    assert (await publisher.get(posted.headers["Location"])).json()["PublisherEventCategory"]["value"] == "Online"


async def test_a_byte_order_mark_is_passed_over(publisher: httpx.AsyncClient) -> None:
    """A byte order mark before the body, as .NET's writers put there, does no harm."""
    posted = await publisher.post("/events", content=b"\xef\xbb\xbf" + with_data(b"{}"))

    assert posted.status_code == 201, posted.text


CONTENT_TYPES = [
    (None, 201),
    ("", 201),
    ("application/json", 201),
    ("Application/JSON; Charset=UTF-8", 201),
    ("application/json; charset=utf8", 201),
    ("application/vnd.api+json", 201),
    ("application/json; charset=utf-16", 415),
    ("application/json; charset*=utf-8''latin1", 415),
    ("text/plain", 415),
    ("text/json", 415),
    ("application/x-ndjson", 415),
    ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=x", 415),
    ("nonsense", 415),
    (";;;", 415),
]


async def test_only_json_in_utf_8_is_accepted(publisher: httpx.AsyncClient) -> None:
    """JSON in UTF-8 is taken, and so is what is declared as nothing; all else is 415."""
    for number, (content_type, expected) in enumerate(CONTENT_TYPES):
        headers = {} if content_type is None else {"Content-Type": content_type}
        body = with_data(b"{}", PublisherEventId=f"{number}")

        assert expected == (await publisher.post("/events", content=body, headers=headers)).status_code, content_type


def data_of_size(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


async def test_the_limit_of_data(publisher: httpx.AsyncClient) -> None:
    """256 KiB of data are taken, to the byte; one more is 413."""
    at_limit = await publisher.post("/events", content=with_data(data_of_size(256 * KIB)))
    over = await publisher.post("/events", content=with_data(data_of_size(256 * KIB + 1)))

    assert at_limit.status_code == 201, at_limit.text[:200]
    assert (over.status_code, over.json()["code"]) == (413, "too_large")


async def test_the_limit_of_a_body(publisher: httpx.AsyncClient) -> None:
    """A body of 1 MiB is read, one byte more is 413, declared or in chunks; the connection goes on."""
    for is_chunked in (False, True):
        body = with_data(b"{}", PublisherEventId=f"{is_chunked}")

        def padded(size: int, body: bytes = body, is_chunked: bool = is_chunked) -> Any:
            content = b" " * (size - len(body)) + body
            return in_pieces(content) if is_chunked else content

        assert (await publisher.post("/events", content=padded(MIB))).status_code == 201
        for size in (MIB + 1, 3 * MIB):
            answer = await publisher.post("/events", content=padded(size))
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await publisher.get("/events")).status_code == 200


async def test_a_declared_length_alone_is_judged(hub_without_worker: RunningHub) -> None:
    """A body that is declared as too long is refused before it is sent."""
    url = httpx.URL(hub_without_worker.address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /events HTTP/1.1\r\nHost: hub\r\nX-API-Key: {ADMIN_KEY}\r\nContent-Length: {10**15}\r\n\r\n{{"
    writer.write(head.encode())

    assert (await asyncio.wait_for(reader.readline(), 30))[:13] == b"HTTP/1.1 413 "
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_breaks_off(hub_without_worker: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """A publisher that hangs up in the middle of its body is no failure of the hub, and nothing is stored."""
    await hub_without_worker.make_program()
    caplog.set_level("INFO", "learning_hub.requests")
    url = httpx.URL(hub_without_worker.address)
    _, writer = await asyncio.open_connection(url.host, url.port)
    body = with_data(b"{}")
    head = f"POST /events HTTP/1.1\r\nHost: hub\r\nX-API-Key: {ADMIN_KEY}\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    # Answered on another connection when the first one has been read.
    assert (await hub_without_worker.client_with(None).get("/health/live")).status_code == 200
    writer.close()
    await writer.wait_closed()

    async def methods() -> list[str]:
        return [getattr(record, "method", "") for record in caplog.records if record.getMessage() == "request"]

    # The hub tells of a request when it is over.
    await eventually(methods, until=lambda found: "POST" in found)
    reads_all(hub_without_worker.client, hub_without_worker.database)
    assert (await hub_without_worker.client.get("/events?ProgramId=NURSES")).json()["Items"] == []
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
