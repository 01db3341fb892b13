"""Responses that the client gives up on, read from their bytes."""

from __future__ import annotations

import time

import pytest

from learning_hub.connectors.raw_response import RawResponse, read_response

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = 150_000


@pytest.mark.parametrize(
    ("received", "body"),
    [
        (b"HTTP/1.1 103 E\r\n\r\n" * MANY + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (CHUNKED + b"1\r\na\r\n" * MANY + b"0\r\n\r\n", b"a" * MANY),
    ],
    ids=["interim responses", "chunks"],
)
def test_many_small_parts_take_no_long_time(received: bytes, body: bytes) -> None:
    """The time grows with the bytes and not with their square, so that one receiver does not hold up the hub."""
    started = time.process_time()
    response = read_response(received)
    assert time.process_time() - started < 2
    assert response is not None
    assert (response.status, response.body, response.fault) == (200, body, None)


@pytest.mark.parametrize("blank", [b"\r\n\r\n", b"\n\n", b"\r\n \r\n"])
def test_blank_lines_before_a_response_do_not_end_its_head(blank: bytes) -> None:
    """Some servers write them after an interim response."""
    received = blank + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    expected = RawResponse(status=200, headers=[(b"Content-Length", b"2")], body=b"ok", fault=None)
    assert read_response(received) == expected
    assert read_response(b"HTTP/1.1 103 E\r\n\r\n" + received) == expected
