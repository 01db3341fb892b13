"""
An operation: one method on one path, with its declaration.

The declaration says what an operation needs and how it responds. `routing` enforces it and `openapi` describes it, so
that the document and the behaviour cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from learning_hub.model.caller import Scope
from learning_hub.model.errors import LearningHubError

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_LINES = "application/x-ndjson"
MERGE_PATCH_TEXT = (
    "The body is a JSON merge patch (RFC 7396): fields that it names are changed, null removes one, the others stay. "
    "The result is checked as a PUT of it. Two patches at once are applied one after the other."
)
EVENT_STREAM = "text/event-stream"
EMPTY = "text/plain"


class ResponseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    One response of an operation: its meaning, the type of its body, its headers by name.

    *is_often_empty*: the body is sent only if the request asks for it, and else there is none. *event_stream* is an
    example of the same response as server-sent events, for callers who accept them; the body is then streamed without
    an ETag. *has_figures*: the body shows more than its ETag stands for, so that it is never 304.
    """

    status: int
    meaning: str
    body: Any = None
    media_type: str = JSON
    is_often_empty: bool = False
    has_figures: bool = False
    event_stream: str | None = None
    headers: Mapping[str, str] = {}
    example: Any = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """An optional header of a request: its meaning, and its length in characters; None: only that of a head."""

    meaning: str
    min_length: int
    max_length: int | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """
    The declaration of an operation.

    *errors* are the problems it can answer beyond those that every operation can (`error_responses`), or in place of
    the usual example of their status. *is_conditional*: it obeys If-Match, and a PUT If-None-Match. *takes_lines*: the
    body, a list, may also come as JSON Lines. *is_direct*: the middleware calls the handler without Litestar's routing,
    for the operation that is called most; it then has no parameters in its path, no ETag and no stream.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    operation_id: str
    summary: str
    tag: str
    responses: tuple[ResponseSpec, ...]
    scopes: tuple[Scope, ...] = ()
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, Header] = {}
    body: Any = None
    body_example: Any = None
    body_optional: bool = False
    takes_lines: bool = False
    is_conditional: bool = False
    errors: tuple[LearningHubError, ...] = ()
    description: str = ""
    is_public: bool = False
    is_listed: bool = True
    is_direct: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Operation:
        """Itself: Litestar copies the handlers of a controller, and a declaration never changes."""
        return self
