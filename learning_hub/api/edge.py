"""
The edge: what happens to every request before it is routed, and to every answer.

A request gets its id and loses its /api prefix; a key is asked for before anything else is judged; a HEAD is
answered as a GET without its body; a request that fails is answered as a problem. One line a request is logged,
with the route's pattern and never the path itself, which may name a person.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from urllib.parse import quote, unquote, unquote_to_bytes, urlencode

import msgspec
from litestar.utils import normalize_path

from learning_hub.api.call import SLASH_IN_STEP
from learning_hub.api.http.headers import sent_key
from learning_hub.api.hub import Hub
from learning_hub.api.problems import MEDIA_TYPE, answer_for
from learning_hub.api.rate import RateLimiter
from learning_hub.api.routing import Application, Message, Receive, Scope, Send
from learning_hub.metrics import REQUESTS
from learning_hub.model.ids import new_request_id

log = logging.getLogger("learning_hub.requests")

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
PROGRAM_EVENTS = re.compile(r"/events/([^/:]+)")
OPEN_PATHS = ("/", "/health/live", "/health/ready", "/schema", "/schema/openapi.json")


class Edge:
    """An ASGI application around the router."""

    def __init__(
        self,
        router: Application,
        direct: Mapping[tuple[str, str], Application],
        hub: Hub,
        limiter: RateLimiter | None,
    ) -> None:
        self._router = router
        self._direct = direct
        self._hub = hub
        self._authenticator = hub.authenticator
        self._notifications = hub.notifications
        self._limiter = limiter

    def stop_waiting(self) -> None:
        """Answer now those who wait for something to come: the hub stops."""
        self._notifications.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        # A copy: the server goes on with its own, and leaves out the body of an answer to HEAD by itself.
        scope = {**scope, "state": {"hub": self._hub}}
        exchange = _Exchange(scope, send)
        if exchange.is_head:
            scope["method"] = "GET"
        _find_address(scope)
        try:
            if scope["path"] not in OPEN_PATHS:
                caller = await self._authenticator.identify(sent_key(scope["headers"]))
                scope["state"]["caller"] = caller
                if self._limiter:
                    self._limiter.take(caller.key_id)
            answer = self._direct.get((scope["method"], scope["path"]), self._router)
            await answer(scope, receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last border: whatever it is, the caller gets an answer
            await exchange.fail(error)
        finally:
            exchange.log()


class _Exchange:
    """One request and what is answered to it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._status = 0
        self.is_head = scope["method"] == "HEAD"
        self.request_id = _request_id(scope)
        scope["state"]["request_id"] = self.request_id.decode()
        scope["state"]["is_head"] = self.is_head

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.request_id)]
            if _is_empty(message["headers"]):
                message["headers"] = [pair for pair in message["headers"] if pair[0].lower() != b"content-type"]
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        if self._status:
            # The answer has begun: cutting it is the only way left to say that it is not whole.
            raise error
        answer = answer_for(error, self._scope["state"]["called_path"])
        content = msgspec.json.encode(answer.problem)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(content)).encode())]
        await self.send({"type": "http.response.start", "status": answer.problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": content, "more_body": False})

    def log(self) -> None:
        caller = self._scope["state"].get("caller")
        method = "HEAD" if self.is_head else self._scope["method"]
        known = self._scope.get("path_template") or "-"
        seconds = time.perf_counter() - self._began
        REQUESTS.labels(method if known != "-" else "-", known, self._status).observe(seconds)
        log.info(
            "request",
            extra={
                "method": method,
                "route": known,
                "status": self._status,
                "milliseconds": round(seconds * 1000, 1),
                "key_id": caller.key_id if caller else None,
                "request_id": self.request_id.decode(),
            },
        )


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE_REQUEST_ID.fullmatch(value):
            return bytes(value)
    return new_request_id().encode()


def _find_address(scope: Scope) -> None:
    """
    Answer with slashes too many and under /api what is answered without them.

    The router passes over such slashes as well; done here, an address that needs no key needs none either way.
    `called_path` in the state keeps what was called, with one slash at its beginning: two begin the name of a host.
    `is_path_utf8` tells whether that is what was sent: the server puts a mark for what cannot be read.

    `GET /api/events/{ProgramId}` is the list of a Program, as in the original hub: a Program id never contains a
    colon, an event id always does.
    """
    called: str = scope["path"]
    scope["state"]["called_path"] = "/" + called.lstrip("/")
    scope["state"]["is_path_utf8"] = _is_utf8(scope.get("raw_path") or b"")
    scope["path"] = path = normalize_path(_steps(scope))
    if path != "/api" and not path.startswith("/api/"):
        return
    scope["path"] = path[4:] or "/"
    program_events = PROGRAM_EVENTS.fullmatch(scope["path"])
    if program_events and scope["method"] == "GET":
        scope["path"] = "/events"
        program = urlencode({"ProgramId": program_events[1].replace(SLASH_IN_STEP, "/")}).encode()
        scope["query_string"] = b"&".join(part for part in (program, scope["query_string"]) if part)
    steps = scope["path"].split("/")
    scope["raw_path"] = "/".join(quote(step.replace(SLASH_IN_STEP, "/"), safe="") for step in steps).encode()


def _steps(scope: Scope) -> str:
    """The path as it was called, with a mark for each slash that is part of a step: ids may have any character."""
    called: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return called
    steps = raw.decode("ascii", "replace").split("/")
    return "/".join(unquote(step).replace("/", SLASH_IN_STEP) for step in steps)


def _is_utf8(raw_path: bytes) -> bool:
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_empty(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-length" and value == b"0" for name, value in headers)
