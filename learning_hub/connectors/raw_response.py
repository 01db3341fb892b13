"""
The bytes of a response, read leniently where the client finds them malformed.

The status of a response decides what follows for a delivery, so it counts as soon as its first line has arrived,
whatever is wrong with the headers and the body. `read_response` is used where the client gives up; `decode_body` undoes
a content encoding in every response, and `in_utf8` an encoding of text.

Sources: RFC 9112, sections 4, 6 and 7; RFC 9110, section 8.4.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec

# An interim response (1xx) precedes the final one; 101 is final. Some servers write `http` in lower case.
_STATUS_LINE = re.compile(rb"\s*HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?=[ \t\r\n]|\Z)", re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,16})[^\r\n]*\r?\n")
_LINE_END = re.compile(rb"\r?\n?")
_NO_BODY = (204, 304)
# Encodings of text; Python knows names of others that are none, such as base64.
_CHARSET = re.compile(r"charset *= *\"?(utf-?(?:16|32)(?:le|be)?|iso-8859-\d+|windows-125\d)\b", re.IGNORECASE)
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


Fault = Literal["incomplete", "malformed"]


class RawResponse(msgspec.Struct, frozen=True, kw_only=True):
    """
    A response as far as it could be read; names and values of *headers* are bytes as they were received.

    *fault* is None where the body is complete, whatever follows it.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    fault: Fault | None


class Decoded(msgspec.Struct, frozen=True):
    """A body without its content encoding; *flaw* is the end of a sentence, None where the body is readable."""

    body: bytes
    flaw: str | None = None


def read_response(received: bytes) -> RawResponse | None:
    """The response in *received*, which may be malformed or incomplete; None where it has no status line."""
    first = _final_status_line(received)
    if first is None:
        return None
    end = _END_OF_HEAD.search(received, first.end())
    head, rest = _head(received, first), received[end.end() :] if end else b""
    headers = _headers(head)
    body, fault = _body(int(first[1]), headers, rest)
    return RawResponse(status=int(first[1]), headers=headers, body=body, fault=fault if end else "incomplete")


def has_surplus_body(received: bytes) -> bool:
    """
    Whether the response declares a body that its status does not allow.

    The bytes of that body may arrive later, and must not be read as the response to the next request.
    """
    first = _final_status_line(received)
    if first is None or int(first[1]) not in _NO_BODY:
        return False
    headers = _headers(_head(received, first))
    return _header(headers, b"transfer-encoding") != b"" or _header(headers, b"content-length") not in (b"", b"0")


def decode_body(body: bytes, encoding: str, *, most_bytes: int) -> Decoded:
    """
    *body* without its content encoding.

    A body that is declared as compressed and is not is returned as it is: some gateways decompress a body and leave the
    header.

    Args:
        body: As it was received, maybe cut.
        encoding: The value of `Content-Encoding`.
        most_bytes: No more is decompressed.
    """
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in ("", "identity") or not body:
            continue
        if name in ("gzip", "x-gzip", "deflate"):
            body = _decompressed(body, most_bytes)
        elif not _is_text(body):
            return Decoded(b"", f"its body has the encoding {name[:20]}, which the hub did not ask for")
    return Decoded(body)


def _final_status_line(received: bytes) -> re.Match[bytes] | None:
    """The first status line that is not that of an interim response; None where there is none yet."""
    # Positions, and no copies of the rest: a response may have hundreds of thousands of parts.
    first = _STATUS_LINE.match(received)
    while first and 100 <= int(first[1]) < 200 and int(first[1]) != 101:
        end = _END_OF_HEAD.search(received, first.end())
        first = _STATUS_LINE.match(received, end.end()) if end else None
    return first


def _head(received: bytes, first: re.Match[bytes]) -> bytes:
    end = _END_OF_HEAD.search(received, first.end())
    return received[first.start() : end.start() if end else None]


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = re.split(rb"\r?\n", head.lstrip())[1:]
    pairs = (line.partition(b":") for line in lines)
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon and name.strip()]


def _header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for key, value in headers if key.lower() == name), b"")


def _body(status: int, headers: Sequence[tuple[bytes, bytes]], rest: bytes) -> tuple[bytes, Fault | None]:
    if status in _NO_BODY:
        return b"", None
    if b"chunked" in _header(headers, b"transfer-encoding").lower():
        return _unchunked(rest)
    length = _header(headers, b"content-length")
    if re.fullmatch(rb"\d{1,18}", length):
        return rest[: int(length)], "incomplete" if len(rest) < int(length) else None
    # The body ends with the connection.
    return rest, "incomplete"


def _unchunked(rest: bytes) -> tuple[bytes, Fault | None]:
    """The chunks up to the last one, or up to where the chunking is broken."""
    body, position = bytearray(), 0
    while size := _CHUNK_SIZE.match(rest, position):
        start = size.end()
        end = start + int(size[1], 16)
        if start == end:
            return bytes(body), None
        body += rest[start:end]
        # A position beyond the end is allowed: nothing matches there.
        line_end = _LINE_END.match(rest, end)
        position = line_end.end() if line_end else end
    return bytes(body), "malformed" if b"\n" in rest[position:] else "incomplete"


def _decompressed(body: bytes, most_bytes: int) -> bytes:
    """*body* as far as it can be decompressed; as it is where it is not compressed."""
    for window in (_GZIP_OR_ZLIB, -zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(window).decompress(body, most_bytes)
        except zlib.error:
            continue
    return body


def _is_text(body: bytes) -> bool:
    try:
        return (
            body.removeprefix(codecs.BOM_UTF8).decode().isprintable()
            or body.removeprefix(codecs.BOM_UTF8)[:1] in b"{[<"
        )
    except UnicodeDecodeError:
        return False


def in_utf8(body: bytes, content_type: str) -> bytes:
    """
    A body of text in UTF-8, without a byte order mark, which no reader of JSON takes.

    The mark decides over the `charset` of *content_type*; a body that is not of its `charset` is returned as it is.
    """
    if body.startswith(codecs.BOM_UTF8):
        return body.removeprefix(codecs.BOM_UTF8)
    is_utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    charset = "utf-16" if is_utf16 else _charset_of(content_type)
    if not charset:
        return body
    try:
        return body.decode(charset).encode()
    except (LookupError, UnicodeError):
        return body


def _charset_of(content_type: str) -> str:
    """The charset that the header names, in lower case; empty where it names UTF-8 or nothing known."""
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else ""
