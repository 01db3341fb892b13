"""HTTP headers: text of an unknown encoding, the API key of a request, the methods of a path, rules for caches."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

# For a response that shows a secret.
NO_STORE = {"Cache-Control": "no-store"}
# A browser must not take JSON for a page.
NO_SNIFFING = (b"x-content-type-options", b"nosniff")

# For pages: they load nothing but the stylesheets of the hub, run no script, and no other page may frame them.
_PAGE_RULES = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)

# A cache between may keep a response for the same caller, and asks whether it is current each time.
_PRIVATE = (b"cache-control", b"private, no-cache")
# The headers by which callers differ.
_CALLER_HEADERS = b"X-API-Key, Authorization, Cookie"


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


def with_browser_rules(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The *headers* of any response, with what a browser must not do with it."""
    kept = list(headers)
    is_page = any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in kept)
    return [*kept, NO_SNIFFING, *(_PAGE_RULES if is_page else ())]


def with_caching_rules(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The *headers* of a response to a key, with `Vary`, and with `Cache-Control` unless they forbid to store it."""
    vary, kept, is_stored = _CALLER_HEADERS, [], True
    for name, value in headers:
        lower = name.lower()
        if lower == b"vary":
            vary = value + b", " + vary
        elif lower == b"cache-control":
            is_stored = b"no-store" not in value
            kept += [] if is_stored else [(name, value)]
        else:
            kept.append((name, value))
    return [*kept, (b"vary", vary), *([_PRIVATE] if is_stored else [])]


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
