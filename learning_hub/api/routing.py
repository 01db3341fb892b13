"""
From a declared operation to a route: the scope is checked, then the query, then the body; then its handler answers.

What is declared is what happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from learning_hub.api.call import Call
from learning_hub.api.operations import Operation, Reply
from learning_hub.model.json_values import write_json

Method = Literal["GET", "POST", "PUT", "DELETE", "OPTIONS"]

Handler = Callable[[Call], Awaitable[Reply]]

# Plain ASGI: a request is whatever the server brings.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class NoQuery(msgspec.Struct, frozen=True):
    """For operations without query parameters."""


def route(operation: Operation) -> Callable[[Handler], HTTPRouteHandler]:
    """Make a route of a handler, as *operation* declares it."""

    def decorate(handler: Handler) -> HTTPRouteHandler:
        async def answer(call: Call) -> Reply:
            if operation.scopes:
                call.caller.need(*operation.scopes)
            call.need_readable_path()
            call.query(operation.query or NoQuery)
            if operation.body is None:
                await call.need_no_body()
            return await handler(call)

        async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
            call = Call(request.scope, request.receive, request.path_params, operation)
            return _response(request, await answer(call))

        handle.__name__ = operation.operation_id
        return _at(operation.path, operation.method, {"operation": operation, "answer": answer})(handle)

    return decorate


def direct_routes(routes: Iterable[HTTPRouteHandler]) -> dict[tuple[str, str], Application]:
    """What answers the operations that are direct, by their method and path."""
    declared = [(route.opt["operation"], route.opt["answer"]) for route in routes]
    return {
        (operation.method, operation.path): _direct(operation, answer)
        for operation, answer in declared
        if operation.is_direct
    }


def _direct(operation: Operation, answer: Handler) -> Application:
    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = operation.path
        reply = await answer(Call(scope, receive, {}, operation))
        content = _encoded(reply.body)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
        headers += [(b"content-type", reply.media_type.encode()), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return respond


def options_routes(operations: Iterable[Operation]) -> list[HTTPRouteHandler]:
    """For each path a route that answers OPTIONS with 204 and, in Allow, every method of the path."""
    methods: dict[str, list[str]] = {}
    for operation in operations:
        implied = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
        methods.setdefault(operation.path, ["OPTIONS"]).extend(implied)
    return [_options_route(path, ", ".join(sorted(allowed))) for path, allowed in methods.items()]


def _options_route(path: str, allowed: str) -> HTTPRouteHandler:
    async def tell_options() -> Response[bytes]:
        return Response(b"", status_code=204, headers={"Allow": allowed})

    return _at(path, "OPTIONS")(tell_options)


def _at(path: str, method: Method, about: dict[str, Any] | None = None) -> HTTPRouteHandler:
    """A route without a handler yet, and what is known *about* it."""
    return HTTPRouteHandler(
        path.replace("}", ":str}"),
        http_method=[method],
        status_code=200,  # every Response brings its own
        include_in_schema=False,
        opt=about,
    )


def _response(request: Request[Any, Any, Any], reply: Reply) -> Response[Any]:
    if reply.stream is not None:
        # Nobody reads what is answered to HEAD, and a stream may have no end.
        pieces = () if request.scope["state"]["is_head"] else reply.stream
        return Stream(pieces, status_code=reply.status, headers=dict(reply.headers), media_type=reply.media_type)
    content = _encoded(reply.body)
    headers = dict(reply.headers)
    if request.method == "GET" and reply.status == 200 and content:
        if "ETag" not in headers:
            headers["ETag"] = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
        if _matches(request.headers.get("if-none-match", ""), headers["ETag"].removeprefix("W/")):
            return Response(b"", status_code=304, headers=headers, media_type=reply.media_type)
    return Response(content, status_code=reply.status, headers=headers, media_type=reply.media_type)


def _encoded(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return write_json(body)


def _matches(if_none_match: str, tag: str) -> bool:
    offered = [item.strip().removeprefix("W/") for item in if_none_match.split(",")]
    return tag in offered or if_none_match.strip() == "*"
