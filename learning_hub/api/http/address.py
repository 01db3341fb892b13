"""The address of a request as the router gets it: without the prefix /api, without superfluous slashes."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_to_bytes, urlencode

from litestar.utils import normalize_path

from learning_hub.api.http.context import RequestContext
from learning_hub.api.http.request import ENCODED_SLASH
from learning_hub.api.http.routing import Scope

PROGRAM_EVENTS = re.compile(r"/events/([^/:]+)")


def normalize_address(scope: Scope, context: RequestContext) -> None:
    """
    Rewrite the path of *scope*: the same operations answer under /api, and with superfluous slashes.

    Litestar's router ignores such slashes as well. They are removed here so that an address that needs no key needs
    none in either form. *context* stores the path as it was called, with a single slash at its beginning (two begin
    the name of a host), and whether it is valid UTF-8 (the server replaces invalid bytes).

    `GET /api/events/{ProgramId}` is the list of a Program, as in the original hub: a Program id never contains a
    colon, an event id always does.
    """
    called: str = scope["path"]
    context.called_path = "/" + called.lstrip("/")
    context.is_path_utf8 = _is_utf8(scope.get("raw_path") or b"")
    scope["path"] = path = normalize_path(_with_encoded_slashes(scope))
    if path != "/api" and not path.startswith("/api/"):
        return
    scope["path"] = path[4:] or "/"
    program_events = PROGRAM_EVENTS.fullmatch(scope["path"])
    if program_events and scope["method"] == "GET":
        scope["path"] = "/events"
        program = urlencode({"ProgramId": program_events[1].replace(ENCODED_SLASH, "/")}).encode()
        scope["query_string"] = b"&".join(part for part in (program, scope["query_string"]) if part)
    segments = scope["path"].split("/")
    scope["raw_path"] = "/".join(quote(each.replace(ENCODED_SLASH, "/"), safe="") for each in segments).encode()


def _with_encoded_slashes(scope: Scope) -> str:
    """The path as it was called, with ENCODED_SLASH for each slash inside a segment: ids may have any character."""
    called: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return called
    segments = raw.decode("ascii", "replace").split("/")
    return "/".join(unquote(segment).replace("/", ENCODED_SLASH) for segment in segments)


def _is_utf8(raw_path: bytes) -> bool:
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return False
    return True
