"""
Every way in which the sandbox says no, by what the caller can do about it.

    Refusal
    ├─ NotAuthenticated         401  get a token
    ├─ NotAllowed               403  ask an administrator
    ├─ NotFound                 404
    ├─ MethodNotAllowed         405
    ├─ DuplicateKey             409
    ├─ BadRequest               400  the request cannot be understood
    ├─ Invalid                  400  the request is understood and breaks a rule of the data
    ├─ OAuthError               400  /token only
    ├─ ServiceFailure           500
    ├─ ServiceNotImplemented    501  no such entity
    └─ OperationNotImplemented  501  the entity is there, the operation is not

Source: the mapping of service results to HTTP in section 6.1 of the iMIS reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class Refusal(Exception):
    """The base of all refusals; *message* is the text sent to the caller."""

    status: ClassVar[int] = 500
    reason: ClassVar[str | None] = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotAuthenticated(Refusal):
    status = 401

    def __init__(self) -> None:
        super().__init__("Authorization has been denied for this request.")


class NotAllowed(Refusal):
    status = 403


class NotFound(Refusal):
    status = 404


class MethodNotAllowed(Refusal):
    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"The requested resource does not support http method '{method}'.")
        self.method = method
        self.allowed = tuple(allowed)


class DuplicateKey(Refusal):
    status = 409


class BadRequest(Refusal):
    status = 400


class UnreadableBody(BadRequest):
    """The body is no JSON, or its `$type` says nothing that can be read; the status is a switch."""


class WrongIdentity(Refusal):
    """The identity has more or fewer elements than the entity's key; the status is a switch."""

    status = 400

    def __init__(self) -> None:
        super().__init__("ArgumentFault: Incorrect number of identity element")


class ServiceFailure(Refusal):
    status = 500

    def __init__(self) -> None:
        super().__init__("An error occurred. Please contact the administrator.")


class ServiceNotImplemented(Refusal):
    status = 501
    reason = "Service not implemented"


class OperationNotImplemented(Refusal):
    status = 501
    reason = "Operation not implemented"


class OAuthError(Refusal):
    """An error of the token endpoint: *code* is one of OAuth 2, for instance `invalid_grant`."""

    status = 400

    def __init__(self, code: str, description: str | None = None) -> None:
        super().__init__(description or code)
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule; *value* is what was sent, or None when nothing was."""

    field: str
    message: str
    value: Any = None


class Invalid(Refusal):
    """One or more fields break a rule; *location* is the name of the entity."""

    status = 400
    reason = "Validation error"

    def __init__(self, location: str, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.location = location
        self.problems = tuple(problems)
