"""
An operation: one method on one path, with everything that is declared of it.

A handler declares what it needs and what it answers. `routing` makes the declaration happen, `openapi` describes it:
what is declared is what happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec

from learning_hub.model.caller import Scope
from learning_hub.model.errors import LearningHubError

JSON = "application/json"
JSON_LINES = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"


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
    their status. With *takes_lines* the body, a list, may come as JSON Lines as well. One that is called most of all
    *is_direct*: it is answered without the framework's part of the way, and has no parameters in its path, no ETag and
    no stream.
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
    is_direct: bool = False


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
