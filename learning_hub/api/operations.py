"""
An operation: one method on one path, with everything the contract says about all of them in one place.

A handler declares what it needs and what it answers; this module checks the scope, then the query, then the body,
calls the handler, and describes the same declaration to the OpenAPI document. What is declared is what happens.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from email.message import Message
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from msgspec import Raw

from learning_hub.api.hub import Hub
from learning_hub.api.parameters import read_query
from learning_hub.model.access import Caller, Scope
from learning_hub.model.errors import (
    EncodingNotTaken,
    FieldError,
    InvalidFields,
    InvalidInput,
    LearningHubError,
    NotJson,
    TooLarge,
)
from learning_hub.model.fields import read_object, read_struct
from learning_hub.model.json_values import write_json

T = TypeVar("T", bound=msgspec.Struct)

Method = Literal["GET", "POST", "PUT", "DELETE", "OPTIONS"]

JSON = "application/json"
JSON_LINES = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"

# What many clients send where there is no body; blanks around it are borne.
EMPTY_OBJECT = re.compile(rb"\s*(\{\s*\})?\s*")
MOST_WITHOUT_BODY_BYTES = 1000

# Stands for a slash within one step of a path, which was sent as %2F, until the path is routed. No path has it by
# itself: UTF-8 has no surrogates.
SLASH_IN_STEP = "\udc2f"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer an operation can give: what it means, the type of its body, its headers by name.

    *is_often_empty* says that the body is there only where it was asked for: then it is named in the description alone,
    since clients made from the document read whatever body is declared, and fail at one that is not there.
    *event_stream* is an example of the same as server-sent events, for those who accept them; then the body is streamed
    and has no ETag.
    """

    status: int
    meaning: str
    body: Any = None
    media_type: str = JSON
    is_often_empty: bool = False
    event_stream: str | None = None
    headers: Mapping[str, str] = {}
    example: Any = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A header that a request may have: what it is for, and how many characters it takes."""

    meaning: str
    min_length: int
    max_length: int


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is declared of an operation.

    *errors* are the problems it can answer beyond those all can (api/refusals.py), or in place of the usual example of
    their status. With *takes_lines* the body, a list, may come as JSON Lines as well.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    operation_id: str
    summary: str
    tag: str
    answers: tuple[Answer, ...]
    scopes: tuple[Scope, ...] = ()
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, Header] = {}
    body: Any = None
    body_example: Any = None
    body_optional: bool = False
    takes_lines: bool = False
    errors: tuple[LearningHubError, ...] = ()
    description: str = ""
    is_public: bool = False
    is_listed: bool = True


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a handler answers: *body* is a Struct or JSON value, bytes as they are, or None for no body.

    *stream* comes in its place, piece by piece; it is cancelled when the caller hangs up.
    """

    status: int = 200
    body: Any = None
    stream: AsyncIterator[bytes] | None = None
    headers: Mapping[str, str] = {}
    media_type: str = JSON


class Call:
    """One request as a handler sees it."""

    def __init__(self, request: Request[Any, Any, Any], operation: Operation) -> None:
        self._request = request
        self._operation = operation
        self.path: Mapping[str, str] = {
            name: step.replace(SLASH_IN_STEP, "/") for name, step in request.path_params.items()
        }
        self.caller: Caller = request.scope["state"].get("caller")  # type: ignore[assignment]

    @property
    def hub(self) -> Hub:
        hub: Hub = self._request.app.state["hub"]
        return hub

    @property
    def called_path(self) -> str:
        """The path as it was called, with its prefix."""
        called: str = self._request.scope["state"]["called_path"]
        return called

    @property
    def operations(self) -> list[Operation]:
        """Every operation of the API."""
        found: list[Operation] = self._request.app.state["operations"]
        return found

    async def confirm_caller(self) -> None:
        """
        Go on only if the key is still good, for a request that has been waiting.

        Raises:
            NotAuthenticated: It was revoked, or has expired meanwhile.
        """
        await self.hub.keyring.caller_of(self._request.scope["headers"])

    def header(self, name: str) -> str | None:
        """A request header, None where it was not sent."""
        return self._request.headers.get(name)

    def need_readable_path(self) -> None:
        """
        Go on only if every id in the path is what was sent.

        Raises:
            InvalidFields: It has bytes that are no UTF-8, so that the id read would be another one.
        """
        if self._request.scope["state"]["is_path_utf8"]:
            return
        if errors := [FieldError(name, "is not valid UTF-8") for name, step in self.path.items() if "\ufffd" in step]:
            raise InvalidFields(errors)

    def query(self, struct: type[T]) -> T:
        """
        The query parameters as a *struct*.

        Raises:
            InvalidFields: Unknown ones, ones given twice, ones of the wrong form.
        """
        pairs = parse_qsl(
            self._request.scope["query_string"].decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
        )
        return read_query(pairs, struct)

    async def fields(self) -> dict[str, Raw]:
        """
        The fields of the body, a JSON object; no fields where the body may be left out and was.

        Raises:
            NotJson: It is declared as something else.
            TooLarge: It is over the limit for a body.
            InvalidInput: It is no well-formed JSON object.
        """
        self.need_media_type(JSON)
        content = await self.content(self.hub.settings.max_body_bytes)
        if not content.strip() and self._operation.body_optional:
            return {}
        if not content:
            raise InvalidInput("A JSON object is needed as the body.", code="malformed_json")
        return read_object(content)

    async def need_no_body(self) -> None:
        """
        Go on only if there is no body, or one that asks for nothing: blank, or an empty object.

        Raises:
            InvalidInput: A filter or option in it would be passed over in silence, and more be done than was meant.
        """
        headers = self._request.headers
        # Without these a request of HTTP/1.1 has no body.
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return
        try:
            is_empty = EMPTY_OBJECT.fullmatch(await self.content(MOST_WITHOUT_BODY_BYTES)) is not None
        except (TooLarge, NotJson):
            is_empty = False
        if not is_empty:
            raise body_not_taken()

    async def body(self, struct: type[T]) -> T:
        """The body as a *struct*; InvalidFields with every bad field."""
        return read_struct(await self.fields(), struct)

    def need_media_type(self, *taken: str) -> str:
        """
        Which of *taken* the body is declared as; JSON where nothing is declared, or some `application/...+json`.

        Raises:
            NotJson: It is declared as something else, or in another encoding than UTF-8.
        """
        declared = self._request.headers.get("content-type", "").strip()
        if not declared or (declared == JSON and JSON in taken):
            return JSON
        message = Message()
        message["content-type"] = declared
        kind, charset = message.get_content_type(), message.get_param("charset", "utf-8")
        if kind.startswith("application/") and kind.endswith("+json"):
            kind = JSON
        if kind not in taken:
            raise not_json(declared, taken)
        if str(charset).lower().replace("-", "") not in ("utf8", "usascii"):
            raise NotJson("JSON is UTF-8.")
        return kind

    async def content(self, limit: int) -> bytes:
        """
        The body as sent, without a byte order mark.

        Raises:
            EncodingNotTaken: It is declared as compressed.
            TooLarge: It is over *limit* bytes; what is declared as longer is not read at all.
            InvalidInput: It broke off.
        """
        encoding = self._request.headers.get("content-encoding", "").strip()
        if encoding.lower() not in ("", "identity"):
            raise EncodingNotTaken(encoding)
        declared = self._request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            raise body_too_large(int(declared), limit)
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in self._request.stream():
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"The body is over the limit of {limit} bytes.")
                pieces.append(piece)
        except InternalServerException:
            # The caller hung up. Nobody reads the answer, and it is no failure of the hub.
            raise InvalidInput("The body broke off.", code="body_broke_off") from None
        # RFC 8259 lets a reader pass over the mark, which .NET's writers put in front.
        return b"".join(pieces).removeprefix(codecs.BOM_UTF8)


Handler = Callable[[Call], Awaitable[Reply]]


class NoQuery(msgspec.Struct, frozen=True):
    """For operations without query parameters."""


def route(operation: Operation) -> Callable[[Handler], HTTPRouteHandler]:
    """Make a route of a handler, as *operation* declares it."""

    def decorate(handler: Handler) -> HTTPRouteHandler:
        async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
            call = Call(request, operation)
            if operation.scopes:
                call.caller.need(*operation.scopes)
            call.need_readable_path()
            call.query(operation.query or NoQuery)
            if operation.body is None:
                await call.need_no_body()
            return _response(request, await handler(call))

        handle.__name__ = operation.operation_id
        return _at(operation.path, operation.method, operation)(handle)

    return decorate


def not_json(declared: str, taken: tuple[str, ...]) -> NotJson:
    """The error for a body that is *declared* as none of those *taken*."""
    return NotJson(f"The body must be JSON ({' or '.join(taken)}), not {declared[:100]}.")


def body_not_taken() -> InvalidInput:
    """The error for a body where none is read."""
    return InvalidInput(
        "This operation takes no body, and does not read what was sent in it. Options go into the address, where the "
        "operation has any.",
        code="body_not_taken",
    )


def body_too_large(size: int, limit: int) -> TooLarge:
    """The error for a body of *size* bytes, which is over the *limit*."""
    return TooLarge(f"The body has {size} bytes; the limit is {limit}.")


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


def _at(path: str, method: Method, operation: Operation | None = None) -> HTTPRouteHandler:
    """A route without a handler yet."""
    return HTTPRouteHandler(
        path.replace("}", ":str}"),
        http_method=[method],
        status_code=200,  # every Response brings its own
        include_in_schema=False,
        opt={"operation": operation},
    )


def _response(request: Request[Any, Any, Any], reply: Reply) -> Response[Any]:
    if reply.stream is not None:
        # Nobody reads what is answered to HEAD, and a stream may have no end.
        pieces = () if request.scope["state"]["is_head"] else reply.stream
        return Stream(pieces, status_code=reply.status, headers=dict(reply.headers), media_type=reply.media_type)
    content = _encoded(reply.body)
    headers = dict(reply.headers)
    if request.method == "GET" and reply.status == 200 and content:
        tag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
        headers.setdefault("ETag", tag)
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
