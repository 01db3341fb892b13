"""What is no HTTP at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

import pytest
from running import ADMIN_KEY, RunningHub

KEY = f"X-API-Key: {ADMIN_KEY}\r\n".encode()
CHUNKED = b"Host: hub\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\n"


async def said(hub: RunningHub, *pieces: bytes) -> bytes:
    """All that the hub answers to these bytes before it hangs up."""
    where = urlsplit(hub.address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.1)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /programs/\xc3\xa4 HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"FOO /programs HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: hub\r\nContent-Length: ten\r\n\r\n{}",
        b"POST /events HTTP/1.1\r\n" + KEY + CHUNKED + b"zz\r\n{}\r\n",
    ],
)
async def test_it_is_answered_with_a_problem(hub_without_worker: RunningHub, sent: bytes) -> None:
    """What cannot be read as HTTP is 400 with a problem and an X-Request-Id, and the connection ends."""
    head, _, content = (await said(hub_without_worker, sent)).partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    found = json.loads(content)

    assert first == "HTTP/1.1 400 Bad Request"
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["x-content-type-options"] == "nosniff"
    assert int(headers["content-length"]) == len(content)
    assert headers["x-request-id"] == "mine" if b"mine" in sent else headers["x-request-id"]
    assert (found["status"], found["code"], found["instance"]) == (400, "malformed_request", "/")
    assert {"type", "title", "detail"} < set(found)


async def test_a_body_that_turns_bad_later(hub_without_worker: RunningHub) -> None:
    """A chunk that cannot be read in the middle of a body is reported to the caller, and nothing is stored."""
    begun = b"POST /events HTTP/1.1\r\n" + KEY + CHUNKED + b"2\r\n{}\r\n"
    answer = await said(hub_without_worker, begun, b"zz\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"malformed_request"' in answer
    assert b"x-request-id: mine\r\n" in answer


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: hub\r\nAccept: \x1d\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_it_comes_after_another_request(hub_without_worker: RunningHub, sent: bytes) -> None:
    """On a connection that was used before it is answered just so, also where a body was refused unread."""
    refused = b"POST /events HTTP/1.1\r\nHost: hub\r\nX-Request-Id: mine\r\nContent-Length: 2\r\n\r\n"
    answer = await said(hub_without_worker, refused, b"{}", sent)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert answer.count(b"HTTP/1.1") == 2
    assert answer.count(b"x-request-id: mine\r\n") == 1


async def test_an_answer_under_way_goes_out_first(hub_without_worker: RunningHub) -> None:
    """Nonsense behind a request does not take its answer away."""
    answer = await said(hub_without_worker, b"GET /health/ready HTTP/1.1\r\nHost: hub\r\n\r\nnonsense\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1
