"""One request as a handler sees it: who calls, what is in the address and the query, and the body."""

from __future__ import annotations

import asyncio
import codecs
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from learning_hub.api.http.headers import sent_key
from learning_hub.api.hub import Hub
from learning_hub.api.operations import JSON, Operation
from learning_hub.api.parameters import read_query
from learning_hub.model.caller import Caller
from learning_hub.model.errors import EncodingNotTaken, FieldError, InvalidFields, InvalidInput, NotJson, TooLarge
from learning_hub.model.fields import read_object, read_struct

T = TypeVar("T", bound=msgspec.Struct)

# Plain ASGI: what the server says of a request, and what brings the pieces of its body.
Connection = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

# What many clients send where there is no body; blanks around it are borne.
EMPTY_OBJECT = re.compile(rb"\s*(\{\s*\})?\s*")
MOST_WITHOUT_BODY_BYTES = 1000

# Where bodies are held against a limit, one that trickles in must not hold its room for hours: the largest batch has a
# quarter of an hour at this pace.
SLOWEST_BYTES_PER_SECOND = 16 * 1024

# A key is asked for before the body; one that was revoked while its body was waited for must not be late by more than
# a second, most of which the authenticator remembers it for.
CONFIRM_AFTER_SECONDS = 0.1

# Stands for a slash within one step of a path, which was sent as %2F, until the path is routed. No path has it by
# itself: UTF-8 has no surrogates.
SLASH_IN_STEP = "\udc2f"


class Call:
    """One request as a handler sees it."""

    def __init__(self, scope: Connection, receive: Receive, path: Mapping[str, str], operation: Operation) -> None:
        self._scope = scope
        self._receive = receive
        self._operation = operation
        self._state: dict[str, Any] = scope["state"]
        self._query: msgspec.Struct | None = None
        self._began = time.monotonic()
        self.path: Mapping[str, str] = {name: step.replace(SLASH_IN_STEP, "/") for name, step in path.items()}
        self.caller: Caller = self._state.get("caller")  # of those that need no key none is asked for
        self.hub: Hub = self._state["hub"]

    @property
    def called_path(self) -> str:
        """The path as it was called, with its prefix."""
        called: str = self._state["called_path"]
        return called

    @property
    def operations(self) -> list[Operation]:
        """Every operation of the API."""
        found: list[Operation] = self._scope["litestar_app"].state["operations"]
        return found

    async def confirm_caller(self) -> None:
        """
        Go on only if the key is still good, for a request that has been waiting.

        Raises:
            NotAuthenticated: It was revoked, or has expired meanwhile.
        """
        await self.hub.authenticator.identify(sent_key(self._scope["headers"]))

    def header(self, name: str) -> str | None:
        """A request header by its name in lower case, the first of several; None where it was not sent."""
        wanted = name.encode()
        return next((value.decode("latin-1") for sent, value in self._scope["headers"] if sent == wanted), None)

    def need_readable_path(self) -> None:
        """
        Go on only if every id in the path is what was sent.

        Raises:
            InvalidFields: It has bytes that are no UTF-8, so that the id read would be another one.
        """
        if self._state["is_path_utf8"]:
            return
        if errors := [FieldError(name, "is not valid UTF-8") for name, step in self.path.items() if "\ufffd" in step]:
            raise InvalidFields(errors)

    def query(self, struct: type[T]) -> T:
        """
        The query parameters as a *struct*.

        Raises:
            InvalidFields: Unknown ones, ones given twice, ones of the wrong form.
        """
        if not isinstance(self._query, struct):
            sent: str = self._scope["query_string"].decode("utf-8", "surrogateescape")
            self._query = read_query(parse_qsl(sent, keep_blank_values=True, errors="surrogateescape"), struct)
        return self._query

    async def json_object(self) -> bytes:
        """
        The body, which is to be one JSON object; empty where it may be left out and was.

        Raises:
            NotJson: It is declared as something else.
            TooLarge: It is over the limit for a body.
            InvalidInput: It was left out, or broke off.
        """
        self.need_media_type(JSON)
        content = await self.content(self.hub.settings.max_body_bytes)
        if not content.strip() and self._operation.body_optional:
            return b""
        if not content:
            raise InvalidInput("A JSON object is needed as the body.", code="malformed_json")
        return content

    async def fields(self) -> dict[str, Raw]:
        """
        The fields of the body; none where it may be left out and was.

        Raises:
            NotJson, TooLarge: As for `json_object`.
            InvalidInput: It is no well-formed JSON object.
        """
        content = await self.json_object()
        return read_object(content) if content else {}

    async def need_no_body(self) -> None:
        """
        Go on only if there is no body, or one that asks for nothing: blank, or an empty object.

        Raises:
            InvalidInput: A filter or option in it would be passed over in silence, and more be done than was meant.
        """
        # Without these a request of HTTP/1.1 has no body.
        if self.header("content-length") in (None, "0") and self.header("transfer-encoding") is None:
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

    def content_length(self, most: int) -> int:
        """How many bytes the body is said to have; *most* where that is not said, or is more."""
        declared = self.header("content-length") or ""
        return min(int(declared), most) if declared.isascii() and declared.isdigit() else most

    async def content(self, limit: int, *, stalls_after_seconds: float | None = None) -> bytes:
        """
        The body as sent, without a byte order mark.

        Raises:
            EncodingNotTaken: It is declared as compressed.
            TooLarge: It is over *limit* bytes; what is declared as longer is not read at all.
            InvalidInput: It broke off, nothing of it came for *stalls_after_seconds*, or, once these are over, less on
                average than SLOWEST_BYTES_PER_SECOND.
            NotAuthenticated: It was long in coming, and the key was revoked or has expired meanwhile.
        """
        encoding = (self.header("content-encoding") or "").strip()
        if encoding.lower() not in ("", "identity"):
            raise EncodingNotTaken(encoding)
        declared = self.header("content-length") or ""
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            raise body_too_large(int(declared), limit)
        pieces: list[bytes] = []
        size = 0
        is_whole = False
        began = time.monotonic()
        while not is_whole:
            if stalls_after_seconds is None:
                message = await self._receive()
            else:
                late = began + stalls_after_seconds + size / SLOWEST_BYTES_PER_SECOND - time.monotonic()
                message = await self._next_message(min(stalls_after_seconds, late))
            if message["type"] == "http.disconnect":
                # The caller hung up. Nobody reads the answer, and it is no failure of the hub.
                raise InvalidInput("The body broke off.", code="body_broke_off")
            size += len(message["body"])
            if size > limit:
                raise TooLarge(f"The body is over the limit of {limit} bytes.")
            pieces.append(message["body"])
            is_whole = not message["more_body"]
        if self.caller and time.monotonic() - self._began > CONFIRM_AFTER_SECONDS:
            await self.confirm_caller()
        # RFC 8259 lets a reader pass over the mark, which .NET's writers put in front.
        return b"".join(pieces).removeprefix(codecs.BOM_UTF8)

    async def _next_message(self, seconds: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                return await self._receive()
        except TimeoutError:
            raise InvalidInput("The body came too slowly, or no longer.", code="body_broke_off") from None


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
