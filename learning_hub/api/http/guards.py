"""Guards: the checks of a request before its handler runs, of the key's scope, the path, the query, and the body."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from learning_hub.api.http.context import context_of
from learning_hub.api.http.request import ApiRequest


class NoQuery(msgspec.Struct, frozen=True):
    """The query of operations without query parameters."""


async def require_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """
    A Litestar guard: the key must have a scope of the operation.

    It is asynchronous because Litestar runs any other guard in a thread.

    Raises:
        NotAllowed: The key has none of the scopes.
    """
    scopes = handler.opt["operation"].scopes
    caller = context_of(connection.scope).caller
    if scopes and caller is not None:
        caller.need(*scopes)


async def check_request(request: ApiRequest) -> None:
    """
    Litestar's `before_request` hook: the request must be one that the operation accepts.

    Unknown query parameters are refused, so that a mistyped filter never widens a result. A body is refused if the
    operation takes none, so that an option in it is not ignored.

    Raises:
        InvalidFields: An id in the path is not UTF-8, or a query parameter is unknown or of the wrong form.
        InvalidInput: The request has a body, and the operation takes none.
    """
    operation = request.operation
    request.need_readable_path()
    request.read_query(operation.query or NoQuery)
    if operation.body is None:
        await request.need_no_body()
