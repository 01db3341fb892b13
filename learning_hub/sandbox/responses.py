"""HTTP responses of the sandbox, error responses included."""

from dataclasses import dataclass
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import (
    ApiError,
    MethodNotAllowed,
    NotAuthenticated,
    OAuthError,
    OperationNotImplemented,
    ServiceFailure,
    UnreadableBody,
    ValidationError,
    WrongIdentity,
)
from learning_hub.sandbox.switches import Switches

NO_RESOURCE = "No HTTP resource was found that matches the request URI."


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; *reason* replaces the usual phrase after the status."""

    status: int
    content: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


def json_response(
    status: int, value: Any, *, headers: tuple[tuple[str, str], ...] = (), reason: str | None = None
) -> Response:
    return Response(status, wire.encode(value), "application/json; charset=utf-8", headers, reason)


def text_response(
    status: int, text: str, *, headers: tuple[tuple[str, str], ...] = (), reason: str | None = None
) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8", headers, reason)


def html_response(status: int, html: str) -> Response:
    return Response(status, html.encode(), "text/html; charset=utf-8")


def error_response(error: ApiError, switches: Switches) -> Response:
    """The response to each kind of error: validation results, HttpError, OAuth error or text (6.1 to 6.3)."""
    if isinstance(error, ValidationError):
        return _validation_error_response(error, switches)
    if isinstance(error, OAuthError):
        code = error.code if switches.sign_in_errors == "oauth" else "invalid_grant"
        body = {"error": code, "error_description": error.description}
        return json_response(400, {name: text for name, text in body.items() if text is not None})
    if isinstance(error, NotAuthenticated):
        challenge = (("WWW-Authenticate", "Bearer"),) if switches.www_authenticate else ()
        return json_response(401, http_error(error.message), headers=challenge)
    if isinstance(error, MethodNotAllowed):
        return _method_not_allowed_response(error, switches)
    if isinstance(error, UnreadableBody) and switches.unreadable_body == 500:
        return text_response(500, ServiceFailure().message)
    status = switches.wrong_identity if isinstance(error, WrongIdentity) else error.status
    return text_response(status, error.message, reason=error.reason)


def _method_not_allowed_response(error: MethodNotAllowed, switches: Switches) -> Response:
    """405 with Allow; for a PATCH also 404 or 501 (switch PatchStatus)."""
    if error.method == "PATCH" and switches.patch_status == 404:
        return json_response(404, http_error(NO_RESOURCE))
    if error.method == "PATCH" and switches.patch_status == 501:
        return text_response(501, "Operation PATCH is not implemented.", reason=OperationNotImplemented.reason)
    allow = (("Allow", ", ".join(error.allowed)),)
    return json_response(405, http_error(error.message), headers=allow)


def http_error(message: str) -> Any:
    """The error body of Web API itself."""
    return {"$type": wire.HTTP_ERROR, "Message": message}


def _validation_error_response(error: ValidationError, switches: Switches) -> Response:
    if switches.validation_answer == "text-500":
        return text_response(500, ServiceFailure().message)
    return json_response(400, validation_results(error, switches), reason=error.reason)


def validation_results(error: ValidationError | None, switches: Switches) -> Any:
    """`ValidationResultsData`: the problems of *error* as errors, no warnings."""
    items: list[Any] = []
    for problem in error.problems if error else ():
        item = {"$type": wire.core("ValidationResultData")}
        if switches.validation_members == "all":
            item["FieldName"] = problem.field
            if problem.value is not None:
                item["FieldValue"] = str(wire.unwrap(problem.value))
            item["Location"] = error.location if error else ""
        items.append(item | {"Message": problem.message})
    kind = wire.core("ValidationResultDataCollection")
    return {
        "$type": wire.core("ValidationResultsData"),
        "Errors": wire.collection(kind, items),
        "Warnings": wire.collection(kind, []),
    }
