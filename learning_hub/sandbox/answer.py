"""What the sandbox answers: a status, a body, and now and then a reason phrase."""

from dataclasses import dataclass
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import (
    Invalid,
    MethodNotAllowed,
    NotAuthenticated,
    OAuthError,
    OperationNotImplemented,
    Refusal,
    ServiceFailure,
    UnreadableBody,
    WrongIdentity,
)
from learning_hub.sandbox.switches import Switches

NO_RESOURCE = "No HTTP resource was found that matches the request URI."


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; *reason* replaces the usual phrase after the status."""

    status: int
    content: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


def json_answer(
    status: int, value: Any, *, headers: tuple[tuple[str, str], ...] = (), reason: str | None = None
) -> Answer:
    return Answer(status, wire.encode(value), "application/json; charset=utf-8", headers, reason)


def text_answer(
    status: int, text: str, *, headers: tuple[tuple[str, str], ...] = (), reason: str | None = None
) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8", headers, reason)


def html_answer(status: int, html: str) -> Answer:
    return Answer(status, html.encode(), "text/html; charset=utf-8")


def refusal_answer(refusal: Refusal, switches: Switches) -> Answer:
    """The answer to each kind of refusal: validation results, HttpError, OAuth error or text (6.1 to 6.3)."""
    if isinstance(refusal, Invalid):
        return _invalid_answer(refusal, switches)
    if isinstance(refusal, OAuthError):
        code = refusal.code if switches.sign_in_errors == "oauth" else "invalid_grant"
        body = {"error": code, "error_description": refusal.description}
        return json_answer(400, {name: text for name, text in body.items() if text is not None})
    if isinstance(refusal, NotAuthenticated):
        challenge = (("WWW-Authenticate", "Bearer"),) if switches.www_authenticate else ()
        return json_answer(401, http_error(refusal.message), headers=challenge)
    if isinstance(refusal, MethodNotAllowed):
        return _method_answer(refusal, switches)
    if isinstance(refusal, UnreadableBody) and switches.unreadable_body == 500:
        return text_answer(500, ServiceFailure().message)
    status = switches.wrong_identity if isinstance(refusal, WrongIdentity) else refusal.status
    return text_answer(status, refusal.message, reason=refusal.reason)


def _method_answer(refusal: MethodNotAllowed, switches: Switches) -> Answer:
    """405 with Allow; to a PATCH also 404 or 501 (switch PatchStatus)."""
    if refusal.method == "PATCH" and switches.patch_status == 404:
        return json_answer(404, http_error(NO_RESOURCE))
    if refusal.method == "PATCH" and switches.patch_status == 501:
        return text_answer(501, "Operation PATCH is not implemented.", reason=OperationNotImplemented.reason)
    allow = (("Allow", ", ".join(refusal.allowed)),)
    return json_answer(405, http_error(refusal.message), headers=allow)


def http_error(message: str) -> Any:
    """The error body of Web API itself."""
    return {"$type": wire.HTTP_ERROR, "Message": message}


def _invalid_answer(refusal: Invalid, switches: Switches) -> Answer:
    if switches.validation_answer == "text-500":
        return text_answer(500, ServiceFailure().message)
    return json_answer(400, validation_results(refusal, switches), reason=refusal.reason)


def validation_results(refusal: Invalid | None, switches: Switches) -> Any:
    """`ValidationResultsData`: the problems of *refusal* as errors, no warnings."""
    items: list[Any] = []
    for problem in refusal.problems if refusal else ():
        item = {"$type": wire.core("ValidationResultData")}
        if switches.validation_members == "all":
            item["FieldName"] = problem.field
            if problem.value is not None:
                item["FieldValue"] = str(wire.unwrap(problem.value))
            item["Location"] = refusal.location if refusal else ""
        items.append(item | {"Message": problem.message})
    kind = wire.core("ValidationResultDataCollection")
    return {
        "$type": wire.core("ValidationResultsData"),
        "Errors": wire.collection(kind, items),
        "Warnings": wire.collection(kind, []),
    }
