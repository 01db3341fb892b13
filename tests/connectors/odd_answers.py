"""Answers that are odd after their first line, as receivers and gateways write them."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace

from http_server import Says

Spelling = Callable[[Says], bytes]


def _with_headers(**headers: str) -> Spelling:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda says: replace(says, headers={**says.headers, **named}).written()


def _compressed(says: Says, encoding: str, body: bytes) -> bytes:
    return Says(says.status, body, {**says.headers, "Content-Encoding": encoding}).written()


def _with_lines(says: Says, lines: bytes) -> bytes:
    first, rest = says.written().split(b"\r\n", 1)
    return first + b"\r\n" + lines + rest


def _chunks(says: Says, chunks: bytes) -> bytes:
    return b"HTTP/1.1 %d Said\r\nTransfer-Encoding: chunked\r\n\r\n%s" % (says.status, chunks)


COOKIES = b"".join(b"Set-Cookie: session-%d=1\r\n" % number for number in range(130))

# The body is there and can be read.
READABLE: dict[str, Spelling] = {
    "surplus bytes": lambda says: says.written() + b"more than was said",
    "a second answer": lambda says: says.written() + says.written(),
    "130 cookies": lambda says: _with_lines(says, COOKIES),
    "a long header": lambda says: _with_lines(says, b"X-Long: " + b"x" * 20_000 + b"\r\n"),
    "a header with a control character": lambda says: _with_lines(says, b"X-Odd: a\x01b\r\n"),
    "a header without a name": lambda says: _with_lines(says, b": nothing\r\nno colon\r\n"),
    "plain, declared as gzip": _with_headers(Content_Encoding="gzip"),
    "plain, declared as deflate": _with_headers(Content_Encoding="deflate"),
    "plain, declared as br": _with_headers(Content_Encoding="br"),
    "gzip, not asked for": lambda says: _compressed(says, "gzip", gzip.compress(says.body)),
    "deflate, not asked for": lambda says: _compressed(says, "deflate", zlib.compress(says.body)),
    "a byte order mark": lambda says: replace(says, body=codecs.BOM_UTF8 + says.body).written(),
    "UTF-16": lambda says: replace(says, body=says.body.decode().encode("utf-16")).written(),
    "a charset": lambda says: replace(
        says,
        body=says.body.decode().encode("utf-16-le"),
        headers={**says.headers, "Content-Type": 'application/json; charset="UTF-16LE"'},
    ).written(),
    "the length twice": lambda says: _with_lines(says, b"Content-Length: %d\r\n" % len(says.body)),
    "lower case": lambda says: b"http" + says.written().removeprefix(b"HTTP"),
    "HTTP/2": lambda says: b"HTTP/2" + says.written().removeprefix(b"HTTP/1.1"),
    "line feeds alone": lambda says: says.written().replace(b"\r\n", b"\n"),
    "an interim answer": lambda says: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + says.written(),
}

# The body is missing or cannot be read. The status is the one that is said.
UNREADABLE: dict[str, Spelling] = {
    "br": lambda says: _compressed(says, "br", b"\x8b\x02\x80{\x03"),
    "zstd": lambda says: _compressed(says, "zstd", b"\x28\xb5\x2f\xfd\x04\x00"),
    "broken gzip": lambda says: _compressed(says, "gzip", gzip.compress(b"x" * 99)[:14]),
    "broken chunks": lambda says: _chunks(says, b"zz\r\nhello\r\n0\r\n\r\n"),
    "broken later": lambda says: _chunks(says, b"1\r\n{\r\nnonsense\r\n0\r\n\r\n"),
    "chunks cut": lambda says: _chunks(says, b"5\r\n{"),
    "half": lambda says: Says(says.status, b"{", {"Content-Length": "99"}).written(),
    "half a head": lambda says: b"HTTP/1.1 %d Said\r\nContent-Le" % says.status,
    "the first line alone": lambda says: b"HTTP/1.1 %d Said\r\n" % says.status,
    "the status alone": lambda says: b"HTTP/1.1 %d" % says.status,
    "a negative length": lambda says: b"HTTP/1.1 %d Said\r\nContent-Length: -1\r\n\r\n{" % says.status,
}

# A success without a body that has one all the same.
WITHOUT_BODY: dict[str, bytes] = {
    "204 with a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "chunked 204": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "205 with a body": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\nhello",
}

# Words of libraries, which say nothing to staff.
LIBRARY_WORDS = ("install", "aiohttp", "brotli", "llhttp", "zlib", "Expected", "Traceback", "Error(", "codec", "RTSP")
