"""
The request as a handler gets it: the caller, the ids of the path, the query, and the body.

It is Litestar's own request with readers that find every bad field instead of the first, keep JSON as it was sent, and
stop reading a body at its limit.
"""

from __future__ import annotations

import codecs
import re
import time
from email.message import Message
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request
from litestar.types import Receive, Scope, Send
from msgspec import Raw

from learning_hub.api.http.body import Receiver, body_not_taken, body_too_large, not_json, receive_body, within_rate
from learning_hub.api.http.body_budget import Body
from learning_hub.api.http.context import RequestContext, context_of
from learning_hub.api.http.headers import sent_key
from learning_hub.api.http.operation import JSON, Operation
from learning_hub.model.caller import Caller
from learning_hub.model.errors import EncodingNotTaken, FieldError, InvalidFields, NotJson, TooLarge, gathered
from learning_hub.model.fields import body_needed, read_object
from learning_hub.model.precondition import NO_PRECONDITION, Precondition, read_tags
from learning_hub.model.query_parameters import parse_query, read_query

T = TypeVar("T", bound=msgspec.Struct)

# Many clients send an empty object instead of no body; blanks around it are tolerated.
EMPTY_OBJECT = re.compile(rb"\s*(\{\s*\})?\s*")
MOST_WITHOUT_BODY_BYTES = 1000

# The key is checked before the body is read. A key that is revoked meanwhile must be refused within a second, and the
# authenticator caches it for most of that second.
CONFIRM_AFTER_SECONDS = 0.1

# Represents a slash inside one segment of a path, which was sent as %2F, until the path is routed. No path contains it
# otherwise: UTF-8 has no surrogates.
ENCODED_SLASH = "\udc2f"


class ApiRequest(Request[Any, Any, Any]):
    """Litestar's request with the hub's readers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.context: RequestContext = context_of(scope)
        self._began = time.monotonic()
        self._query: msgspec.Struct | None = None

    @property
    def caller(self) -> Caller:
        """The caller; only operations that need a key have one."""
        assert self.context.caller is not None  # noqa: S101 - the middleware refuses requests without a key
        return self.context.caller

    @property
    def operation(self) -> Operation:
        """The declaration of the operation that is called."""
        declared: Operation = self.route_handler.opt["operation"]
        return declared

    def path_id(self, name: str) -> str:
        """The id called *name* in the path, as it was sent."""
        segment: str = self.path_params[name]
        return segment.replace(ENCODED_SLASH, "/")

    async def confirm_caller(self) -> None:
        """
        Check the key again, for a request that has been waiting.

        Raises:
            NotAuthenticated: The key was revoked, or has expired meanwhile.
        """
        await self.context.authenticator.identify(sent_key(self.scope["headers"]))

    def header(self, name: str) -> str | None:
        """A request header by its name in lower case, the first of several; None if it was not sent."""
        encoded = name.encode()
        return next((value.decode("latin-1") for sent, value in self.scope["headers"] if sent == encoded), None)

    def precondition(self) -> Precondition:
        """
        What If-Match and If-None-Match ask for.

        Raises:
            InvalidFields: One of them is neither `*` nor a list of tags.
        """
        if_match, if_none_match = self.header("if-match"), self.header("if-none-match")
        if if_match is None and if_none_match is None:
            return NO_PRECONDITION
        errors: list[FieldError] = []
        tags: dict[str, frozenset[str] | None] = {}
        for name, sent in (("If-Match", if_match), ("If-None-Match", if_none_match)):
            with gathered(errors):
                tags[name] = read_tags(name, sent)
        if errors:
            raise InvalidFields(errors)
        return Precondition(if_match=tags["If-Match"], if_none_match=tags["If-None-Match"])

    def need_readable_path(self) -> None:
        """
        Check that every id in the path is read as it was sent.

        Raises:
            InvalidFields: The path has bytes that are not UTF-8, so a different id would be read.
        """
        if self.context.is_path_utf8:
            return
        unreadable = [name for name in self.path_params if "\ufffd" in self.path_id(name)]
        if unreadable:
            raise InvalidFields([FieldError(name, "is not valid UTF-8") for name in unreadable])

    def read_query(self, struct: type[T]) -> T:
        """
        The query parameters as a *struct*.

        Raises:
            InvalidFields: A parameter is unknown, given twice, or of the wrong form.
        """
        if not isinstance(self._query, struct):
            sent: str = self.scope["query_string"].decode("utf-8", "surrogateescape")
            pairs, with_plus = parse_query(sent)
            self._query = read_query(pairs, struct, with_plus)
        return self._query

    async def read_json_object(self) -> bytes:
        """
        The body, which must be one JSON object; empty if it may be left out and was.

        Raises:
            NotJson: The body is not declared as JSON.
            TooLarge: The body is over the limit.
            InvalidInput: The body was left out, or broke off.
        """
        self.need_media_type(JSON)
        content = await self.read_content(self.context.max_body_bytes)
        if not content.strip() and self.operation.body_optional:
            return b""
        if not content:
            raise body_needed()
        return content

    async def read_fields(self) -> dict[str, Raw]:
        """
        The fields of the body; none if it may be left out and was.

        Raises:
            NotJson, TooLarge: As for `read_json_object`.
            InvalidInput: The body is not a well-formed JSON object.
        """
        content = await self.read_json_object()
        return read_object(content) if content else {}

    async def need_no_body(self) -> None:
        """
        Check that the request has no body, or an empty one: blanks, or an empty object.

        Raises:
            InvalidInput: A filter or option in the body would be ignored, and the operation would do more than meant.
        """
        # Without these a request of HTTP/1.1 has no body.
        if self.header("content-length") in (None, "0") and self.header("transfer-encoding") is None:
            return
        try:
            is_empty = EMPTY_OBJECT.fullmatch(await self.read_content(MOST_WITHOUT_BODY_BYTES)) is not None
        except (TooLarge, NotJson):
            is_empty = False
        if not is_empty:
            raise body_not_taken()

    def need_media_type(self, *taken: str) -> str:
        """
        The media type of the body, one of *taken*; JSON if none is declared, or some `application/...+json`.

        Raises:
            NotJson: The declared media type is not one of *taken*, or the encoding is not UTF-8.
        """
        declared = (self.header("content-type") or "").strip()
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

    def declared_length(self, most: int) -> int:
        """The declared length of the body in bytes; *most* if it is not declared, or is more."""
        declared = self.header("content-length") or ""
        return min(int(declared), most) if declared.isascii() and declared.isdigit() else most

    async def read_content(
        self, limit: int, *, held: Body | None = None, stalls_after_seconds: float | None = None
    ) -> bytes:
        """
        The body as sent, without a byte order mark.

        Raises:
            EncodingNotTaken: The body is declared as compressed.
            TooLarge, InvalidInput, TooSlow, TooManyBodies, Unavailable: As for `receive_body`.
            NotAuthenticated: The key was revoked or has expired while a slow body was received.
        """
        encoding = (self.header("content-encoding") or "").strip()
        if encoding.lower() not in ("", "identity"):
            raise EncodingNotTaken(encoding)
        declared = self.header("content-length") or ""
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            raise body_too_large(int(declared), limit)
        receive = cast("Receiver", self.receive)
        if stalls_after_seconds is not None:
            receive = within_rate(receive, stalls_after_seconds=stalls_after_seconds)
        caller = self.context.caller
        content = await receive_body(
            receive, limit, held=held, budget=self.context.body_budget, key_id=caller.key_id if caller else ""
        )
        if self.context.caller and time.monotonic() - self._began > CONFIRM_AFTER_SECONDS:
            await self.confirm_caller()
        # RFC 8259 lets a reader skip the byte order mark, which .NET writes at the beginning.
        return content.removeprefix(codecs.BOM_UTF8)
