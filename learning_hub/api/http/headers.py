"""Values of HTTP headers: text of an unknown encoding, the API key of a request, the methods of a path."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable


def header_text(value: bytes) -> str:
    """The text of a header's value: as UTF-8 if it is valid, else as Latin-1, in which every byte is a character."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def allowed_methods(methods: Iterable[str]) -> str:
    """The value of `Allow`, sorted. It has HEAD where it has GET, as the middleware answers a HEAD as a GET."""
    allowed = set(methods)
    return ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))


def sent_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """
    The key in a request's headers: `X-API-Key`, else `Authorization: Bearer`, else the password of HTTP Basic.

    None if no header has a key, or the header cannot be read.
    """
    authorization = b""
    for name, value in headers:
        if name == b"x-api-key" and value:
            return header_text(value.strip())
        if name == b"authorization":
            authorization = value.strip()
    scheme, _, rest = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return header_text(rest.strip()) or None
    if scheme.lower() == b"basic":
        return _basic_password(rest.strip())
    return None


def _basic_password(encoded: bytes) -> str | None:
    """The text after the first colon; the name before it may be anything, in any encoding."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return header_text(decoded.partition(b":")[2]) or None
