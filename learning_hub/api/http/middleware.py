"""
The middleware: processes every request before it is routed, and every response.

A request gets its id and loses its /api prefix; its key is checked before anything else; a HEAD is answered as a GET
without its body; a request that fails is answered with a problem document. Each request is logged as one line with
the route's pattern, never with the path itself, which may name a person.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from learning_hub.api.http.address import normalize_address
from learning_hub.api.http.answer_budget import AnswerBudget
from learning_hub.api.http.context import RequestContext, put_context
from learning_hub.api.http.headers import sent_key, with_browser_rules, with_caching_rules
from learning_hub.api.http.problems import MEDIA_TYPE, problem_response
from learning_hub.api.http.rate_limit import RateLimiter
from learning_hub.api.http.routing import Application, Message, Receive, Scope, Send
from learning_hub.metrics import REQUESTS
from learning_hub.model.errors import TooManyAnswers, Unavailable
from learning_hub.model.ids import new_request_id
from learning_hub.services.authentication import Authenticator

log = logging.getLogger("learning_hub.requests")

# A body is handed to the server in pieces of so many bytes.
PIECE_BYTES = 16 * 1024
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class ApiMiddleware:
    """
    The ASGI application around Litestar's router.

    Args:
        router: Litestar's application.
        direct: Operations that are called without the router, by method and path.
        public_paths: The paths of operations that need no key.
        services: What handlers get by the names of their parameters.
        authenticator: Checks keys.
        answer_budget: Limits the answers that are not taken.
        stop_waiting: Ends requests that wait; called when the hub stops.
        limiter: Limits the requests of each key; None for no limit.
        max_body_bytes: Limit of all bodies except batches.
    """

    def __init__(
        self,
        router: Application,
        direct: Mapping[tuple[str, str], Application],
        *,
        public_paths: frozenset[str],
        services: Mapping[str, Any],
        authenticator: Authenticator,
        answer_budget: AnswerBudget,
        stop_waiting: Callable[[], None],
        limiter: RateLimiter | None,
        max_body_bytes: int,
    ) -> None:
        self._router = router
        self._direct = direct
        self._public_paths = public_paths
        self._services = services
        self._authenticator = authenticator
        self.answer_budget = answer_budget
        self._stop_waiting = stop_waiting
        self._limiter = limiter
        self._max_body_bytes = max_body_bytes

    def stop_waiting(self) -> None:
        """Answer waiting requests at once, because the hub stops."""
        self._stop_waiting()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        # A copy, because the server reads the method of its own scope: it leaves out the body of a response to HEAD.
        scope = {**scope, "state": {}}
        context = self._context(scope)
        put_context(scope, context)
        exchange = _Exchange(scope, context, send, self.answer_budget)
        if context.is_head:
            scope["method"] = "GET"
        normalize_address(scope, context)
        try:
            exchange.needs_key = scope["path"] not in self._public_paths
            if exchange.needs_key:
                context.caller = await self._authenticator.identify(sent_key(scope["headers"]), address=_address(scope))
                if self._limiter:
                    self._limiter.take(context.caller.key_id)
                self.answer_budget.need_room(context.caller.key_id)
            application = self._direct.get((scope["method"], scope["path"]), self._router)
            await application(scope, receive, exchange.send)
            if exchange.refusal:
                await exchange.fail(exchange.refusal)
        except Exception as error:  # noqa: BLE001 - the outermost layer: every error becomes a response
            await exchange.fail(error)
        finally:
            exchange.end()

    def _context(self, scope: Scope) -> RequestContext:
        return RequestContext(
            authenticator=self._authenticator,
            services=self._services,
            max_body_bytes=self._max_body_bytes,
            body_budget=self._services["body_budget"],
            request_id=_request_id(scope),
            is_head=scope["method"] == "HEAD",
        )


class _Exchange:
    """One request and its response. *needs_key*: the response differs by key, also where the key is refused."""

    def __init__(self, scope: Scope, context: RequestContext, send: Send, budget: AnswerBudget) -> None:
        self._scope = scope
        self._context = context
        self._send = send
        self._budget = budget
        self._began = time.perf_counter()
        self._status = 0
        # The key and the size of the answer that is being sent.
        self._held: tuple[str, int] | None = None
        self.needs_key = False
        # Why the answer is not sent. It cannot be raised, because Litestar believes that the answer has begun.
        self.refusal: Exception | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._hold(message)
        if self.refusal:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = with_browser_rules(message.get("headers", []))
            headers.append((b"x-request-id", self._context.request_id.encode()))
            if self.needs_key:
                headers = with_caching_rules(headers)
            if _is_empty(headers):
                headers = [pair for pair in headers if pair[0].lower() != b"content-type"]
            message["headers"] = headers
            await self._send(message)
        else:
            await self._send_in_pieces(message)

    def _hold(self, start: Message) -> None:
        """
        Hold the answer that starts, unless it is a stream; refuse it if it is large, and too much is not taken.

        What has changed something is answered all the same.
        """
        size = next((int(value) for name, value in start.get("headers", []) if name.lower() == b"content-length"), None)
        if size is None or self._context.is_head:
            return
        key_id = self._context.caller.key_id if self._context.caller else ""
        if size > PIECE_BYTES and self._scope["method"] == "GET":
            try:
                self._budget.need_room(key_id, size)
            except (TooManyAnswers, Unavailable) as error:
                self.refusal = error
                return
        self._held = (key_id, size)
        self._budget.begin(*self._held)

    async def _send_in_pieces(self, message: Message) -> None:
        """Send a body as its peer takes it: the server waits between two pieces, and never within one."""
        body = message.get("body", b"")
        if len(body) <= PIECE_BYTES:
            await self._send(message)
            return
        whole = memoryview(body)
        for start in range(0, len(body), PIECE_BYTES):
            is_last = start + PIECE_BYTES >= len(body)
            piece = {"body": whole[start : start + PIECE_BYTES], "more_body": message.get("more_body") or not is_last}
            await self._send({**message, **piece})

    async def fail(self, error: Exception) -> None:
        self.refusal = None
        if self._status:
            # The response has begun: cutting the connection is the only way left to say that it is incomplete.
            raise error
        response = problem_response(error, self._context.called_path)
        content = msgspec.json.encode(response.problem)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
        headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(content)).encode())]
        await self.send({"type": "http.response.start", "status": response.problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": content, "more_body": False})

    def end(self) -> None:
        """The response was sent, or is given up."""
        if self._held:
            self._budget.end(*self._held)
        self._log()

    def _log(self) -> None:
        caller = self._context.caller
        method = "HEAD" if self._context.is_head else self._scope["method"]
        pattern = self._scope.get("path_template") or "-"
        seconds = time.perf_counter() - self._began
        REQUESTS.labels(method if pattern != "-" else "-", pattern, self._status).observe(seconds)
        log.info(
            "request",
            extra={
                "method": method,
                "route": pattern,
                "status": self._status,
                "milliseconds": round(seconds * 1000, 1),
                "key_id": caller.key_id if caller else None,
                "request_id": self._context.request_id,
            },
        )


def _address(scope: Scope) -> str:
    """The address of the peer; a server on a unix socket has no other than this machine."""
    return scope["client"][0] if scope.get("client") else "local"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and VALID_REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return new_request_id()


def _is_empty(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-length" and value == b"0" for name, value in headers)
