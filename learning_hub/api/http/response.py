"""The response as a handler makes it: Litestar's own response with JSON as it was spelled, and ETags."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import Litestar, Request, Response
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from learning_hub.api.http.context import context_of
from learning_hub.api.http.operation import JSON
from learning_hub.model.json_values import write_json


class ApiResponse(Response[bytes]):
    """
    A response with a whole body.

    Args:
        body: A Struct or JSON value, which is encoded; bytes, which are sent unchanged; or None for no body.
        tag: The ETag of what is shown; of the response to a GET without one it is made of the body.
        has_figures: The body also shows what the tag does not stand for, such as a pause; it is never answered 304.
    """

    def __init__(
        self,
        body: Any = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = JSON,
        tag: str | None = None,
        has_figures: bool = False,
    ) -> None:
        tagged = {"ETag": tag} if tag else {}
        super().__init__(
            _encoded(body), status_code=status, headers={**(headers or {}), **tagged}, media_type=media_type
        )
        self._has_figures = has_figures

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **kwargs: Any) -> ASGIResponse:
        """The response with its ETag; 304 if the caller has the same content already."""
        if request.method == "GET" and self.status_code == 200 and self.content:
            tag = self.headers.setdefault("ETag", f'"{hashlib.blake2b(self.content, digest_size=16).hexdigest()}"')
            if not self._has_figures and _matches(request.headers.get("if-none-match", ""), tag.removeprefix("W/")):
                self.content, self.status_code = b"", 304
        return super().to_asgi_response(app, request, **kwargs)


def stream_response(
    request: Request[Any, Any, Any], pieces: AsyncIterator[bytes], *, headers: Mapping[str, str], media_type: str
) -> Stream:
    """A response whose body is sent piece by piece; *pieces* is cancelled when the caller hangs up."""
    # Nobody reads the body of a response to HEAD, and a stream may have no end.
    is_head = context_of(request.scope).is_head
    return Stream(() if is_head else pieces, headers=dict(headers), media_type=media_type)


def _encoded(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else write_json(body)


def _matches(if_none_match: str, tag: str) -> bool:
    offered = [item.strip().removeprefix("W/") for item in if_none_match.split(",")]
    return tag in offered or if_none_match.strip() == "*"
