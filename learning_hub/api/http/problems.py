"""Error responses in the form of RFC 9457; the only table from error class to HTTP status."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar.exceptions import HTTPException
from msgspec import UNSET, Meta, UnsetType

from learning_hub.api.http.headers import allowed_methods
from learning_hub.model import errors
from learning_hub.model.errors import FieldError, LearningHubError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# The first class that an error is an instance of decides, so subclasses come before their bases.
STATUS: dict[type[LearningHubError], int] = {
    errors.TooLarge: 413,
    errors.NotJson: 415,
    errors.TooSlow: 408,
    errors.InvalidInput: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.TemplateError: 400,
    LearningHubError: 500,
}

ROUTING = {
    404: ("not_found", "Nothing exists at this address."),
    405: ("method_not_allowed", "The address does not support this method."),
}
# As in RFC 9110; the phrases of the standard library differ between versions of Python.
TITLES = {413: "Content Too Large"}
SAFE_IN_PATHS = "/:@!$&'()*+,;=~"  # instance is a URI reference


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error, in the form of RFC 9457."""

    type: Annotated[str, Meta(description="The address that explains this kind of problem.")]
    title: str
    status: int
    detail: str
    instance: Annotated[str, Meta(description="The path that was called.")]
    code: Annotated[str, Meta(description="Short and stable; docs/reference/errors.md lists all.")]
    errors: (
        Annotated[list[FieldError], Meta(description="Every bad field, if the problem is bad fields.")] | UnsetType
    ) = UNSET


class ProblemResponse(msgspec.Struct, frozen=True):
    """A problem and the headers that go with it."""

    problem: Problem
    headers: dict[str, str]


def problem_response(error: Exception, instance: str) -> ProblemResponse:
    """The response to a request for the path *instance* that failed with *error*."""
    if isinstance(error, LearningHubError):
        return _ours(error, instance)
    if isinstance(error, HTTPException) and error.status_code < 500:
        code, detail = ROUTING.get(error.status_code, ("invalid_input", error.detail))
        headers = {name.title(): value for name, value in (error.headers or {}).items()}
        if "Allow" in headers:
            headers["Allow"] = allowed_methods(headers["Allow"].split(", "))
        return ProblemResponse(problem(error.status_code, code, detail, quote(instance, safe=SAFE_IN_PATHS)), headers)
    log.error("request_failed", exc_info=error)
    detail = "The hub failed. Its log has the cause under the X-Request-Id of this response."
    return ProblemResponse(problem(500, "internal_error", detail, quote(instance, safe=SAFE_IN_PATHS)), {})


def problem(
    status: int, code: str, detail: str, instance: str, field_errors: list[FieldError] | UnsetType = UNSET
) -> Problem:
    """A problem of the kind *code*."""
    return Problem(
        type=f"/schema#{code}",
        title=TITLES.get(status) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        errors=field_errors,
    )


def _ours(error: LearningHubError, instance: str) -> ProblemResponse:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    if status == 500:
        log.error("request_failed", exc_info=error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="Learning Hub"'
    if isinstance(error, errors.TooManyRequests | errors.Unavailable | errors.Conflict):
        headers |= _retry_after(error.retry_after_seconds)
    if isinstance(error, errors.TooSlow):
        # What still comes of the body is not read.
        headers["Connection"] = "close"
    if isinstance(error, errors.EncodingNotTaken):
        # As RFC 7694 requires.
        headers["Accept-Encoding"] = "identity"
    where = quote(instance, safe=SAFE_IN_PATHS)
    return ProblemResponse(problem(status, error.code, error.detail, where, error.field_errors or UNSET), headers)


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
