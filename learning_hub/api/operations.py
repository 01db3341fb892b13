"""
An operation: one method on one path, with everything the contract says about all of them in one place.

A handler declares what it needs and what it answers; this module checks the scope, then the query, then the body,
calls the handler, and describes the same declaration to the OpenAPI document. What is declared is what happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from email.message import Message
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Raw

from learning_hub.api.hub import Hub
from learning_hub.model.access import Caller, Scope
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, NotJson, TooLarge
from learning_hub.model.fields import read_object, read_struct
from learning_hub.model.json_values import write_json

T = TypeVar("T", bound=msgspec.Struct)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer an operation can give: what it means, the Struct of its body, its headers by name."""

    status: int
    meaning: str
    body: Any = None
    headers: Mapping[str, str] = {}
    example: Any = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What is declared of an operation. *errors* are the statuses it can give beyond those all can."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    operation_id: str
    summary: str
    tag: str
    answers: tuple[Answer, ...]
    scopes: tuple[Scope, ...] = ()
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, str] = {}
    body: Any = None
    body_example: Any = None
    body_optional: bool = False
    errors: tuple[int, ...] = ()
    description: str = ""
    is_public: bool = False
    is_listed: bool = True


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers: *body* is a Struct or JSON value, bytes as they are, or None for no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"


class Call:
    """One request as a handler sees it."""

    def __init__(self, request: Request[Any, Any, Any], operation: Operation) -> None:
        self._request = request
        self._operation = operation
        self.path: Mapping[str, str] = request.path_params
        self.caller: Caller = request.scope["state"].get("caller")  # type: ignore[assignment]

    @property
    def hub(self) -> Hub:
        hub: Hub = self._request.app.state["hub"]
        return hub

    @property
    def operations(self) -> list[Operation]:
        """Every operation of the API."""
        found: list[Operation] = self._request.app.state["operations"]
        return found

    def header(self, name: str) -> str | None:
        """A request header, None where it was not sent."""
        return self._request.headers.get(name)

    def query(self, struct: type[T]) -> T:
        """
        The query parameters as a *struct*.

        Raises:
            InvalidFields: Unknown ones, ones given twice, ones of the wrong form.
        """
        pairs = parse_qsl(
            self._request.scope["query_string"].decode("latin-1"),
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
        self._need_json()
        content = await self._content(self.hub.settings.max_body_bytes)
        if not content.strip() and self._operation.body_optional:
            return {}
        if not content:
            raise InvalidInput("A JSON object is needed as the body.", code="malformed_json")
        return read_object(content)

    async def body(self, struct: type[T]) -> T:
        """The body as a *struct*; InvalidFields with every bad field."""
        return read_struct(await self.fields(), struct)

    def _need_json(self) -> None:
        declared = self._request.headers.get("content-type", "").strip()
        if not declared:
            return
        message = Message()
        message["content-type"] = declared
        kind, charset = message.get_content_type(), message.get_param("charset", "utf-8")
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise NotJson(f"The body must be JSON (application/json), not {declared[:100]}.")
        if str(charset).lower().replace("-", "") not in ("utf8", "usascii"):
            raise NotJson("JSON is UTF-8.")

    async def _content(self, limit: int) -> bytes:
        declared = self._request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge(f"The body has {declared} bytes; the limit is {limit}.")
        pieces: list[bytes] = []
        size = 0
        async for piece in self._request.stream():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"The body is over the limit of {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)


Handler = Callable[[Call], Awaitable[Reply]]


class NoQuery(msgspec.Struct, frozen=True):
    """For operations without query parameters."""


def route(operation: Operation) -> Callable[[Handler], HTTPRouteHandler]:
    """Make a route of a handler, as *operation* declares it."""

    def decorate(handler: Handler) -> HTTPRouteHandler:
        async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
            call = Call(request, operation)
            if operation.scopes:
                call.caller.need(*operation.scopes)
            call.query(operation.query or NoQuery)
            return _response(request, await handler(call))

        handle.__name__ = operation.operation_id
        path = operation.path.replace("}", ":str}")
        decorator = HTTPRouteHandler(
            path,
            http_method=[operation.method],
            status_code=200,  # every Response brings its own
            include_in_schema=False,
            opt={"operation": operation},
        )
        return decorator(handle)

    return decorate


def read_query(pairs: list[tuple[str, str]], struct: type[T]) -> T:
    """Query parameters as a *struct*: texts as they are, numbers, booleans and times read from their text."""
    fields: dict[str, Raw] = {}
    errors: list[FieldError] = []
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for name, value in pairs:
        if name in fields:
            errors.append(FieldError(name, "was given more than once"))
        if name in kinds and _is_plain(kinds[name]) and _PLAIN.get(value.lower()):
            fields[name] = Raw(_PLAIN[value.lower()])
        elif name in kinds and _is_number(kinds[name]) and value.isascii() and value.lstrip("-").isdigit():
            fields[name] = Raw(str(int(value)).encode() if len(value) < 20 else b'"too long"')
        else:
            fields[name] = Raw(_quoted(value))
    try:
        result = read_struct(fields, struct)
    except InvalidFields as error:
        raise InvalidFields(errors + _as_parameters(error.errors)) from None
    if errors:
        raise InvalidFields(errors)
    return result


_PLAIN = {"true": b"true", "false": b"false", "1": b"true", "0": b"false"}


def _quoted(value: str) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Bytes that are no UTF-8: let the field reader name the parameter.
        return b'"\\ud800"'


def _as_parameters(errors: list[FieldError]) -> list[FieldError]:
    return [
        FieldError(
            error.field,
            "is not a known query parameter" if error.message == "is not a known field" else error.message,
        )
        for error in errors
    ]


def _is_plain(declared: Any) -> bool:
    return "bool" in str(declared)


def _is_number(declared: Any) -> bool:
    return "int" in str(declared) and "str" not in str(declared)


def _response(request: Request[Any, Any, Any], reply: Reply) -> Response[bytes]:
    content = _encoded(reply.body)
    headers = dict(reply.headers)
    if request.method == "GET" and reply.status == 200 and content:
        tag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
        headers.setdefault("ETag", tag)
        if _matches(request.headers.get("if-none-match", ""), headers["ETag"]):
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
