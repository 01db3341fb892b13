"""The context of a request that the middleware makes before routing; the ASGI scope carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from learning_hub.api.http.body_budget import BodyBudget
from learning_hub.model.caller import Caller
from learning_hub.services.authentication import Authenticator

_KEY = "learning_hub"


class RequestContext(msgspec.Struct, kw_only=True):
    """
    The context of one request.

    *called_path* is the path as it was called, with its prefix. *is_path_utf8* is false if the path has bytes that are
    not UTF-8. *is_head* marks a HEAD, which is routed as a GET. *caller* is None for operations without a key.
    *max_body_bytes* is the limit of all bodies except batches, *body_budget* that of all bodies together. *services*
    are what handlers get by the names of their parameters.
    """

    authenticator: Authenticator
    services: Mapping[str, Any]
    max_body_bytes: int
    body_budget: BodyBudget
    request_id: str
    is_head: bool
    called_path: str = "/"
    is_path_utf8: bool = True
    caller: Caller | None = None


def put_context(scope: Mapping[str, Any], context: RequestContext) -> None:
    """Store *context* in the state of an ASGI *scope*."""
    scope["state"][_KEY] = context


def context_of(scope: Mapping[str, Any]) -> RequestContext:
    """The context that the middleware stored in *scope*."""
    context: RequestContext = scope["state"][_KEY]
    return context
