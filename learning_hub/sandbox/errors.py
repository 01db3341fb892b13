"""
The errors that the sandbox answers with, by what the caller can do about each.

    ApiError
    ├─ NotAuthenticated         401  get a token
    ├─ NotAllowed               403  ask an administrator
    ├─ NotFound                 404
    ├─ MethodNotAllowed         405
    ├─ DuplicateKey             409
    ├─ BadRequest               400  the request cannot be understood
    │  └─ UnreadableBody
    ├─ WrongIdentity            400
    ├─ ValidationError          400  the request is understood, but its data breaks a rule
    ├─ OAuthError               400  /token only
    ├─ ServiceFailure           500
    ├─ ServiceNotImplemented    501  the entity does not exist
    └─ OperationNotImplemented  501  the entity exists, but lacks the operation

Source: the mapping of service results to HTTP in section 6.1 of the iMIS reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class ApiError(Exception):
    """
    The base of all errors.

    Attributes:
        status: The HTTP status of the response.
        reason: The phrase after the status, where iMIS uses another than the usual one.
        message: The text sent to the caller.
    """

    status: ClassVar[int] = 500
    reason: ClassVar[str | None] = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotAuthenticated(ApiError):
    status = 401

    def __init__(self) -> None:
        super().__init__("Authorization has been denied for this request.")


class NotAllowed(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class MethodNotAllowed(ApiError):
    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"The requested resource does not support http method '{method}'.")
        self.method = method
        self.allowed = tuple(allowed)


class DuplicateKey(ApiError):
    status = 409


class BadRequest(ApiError):
    status = 400


class UnreadableBody(BadRequest):
    """The body is not JSON, or its `$type` is missing or unknown; the switch UnreadableBody sets the status."""


class WrongIdentity(ApiError):
    """The identity has more or fewer elements than the entity's key; the switch WrongIdentity sets the status."""

    status = 400

    def __init__(self) -> None:
        super().__init__("ArgumentFault: Incorrect number of identity element")


class ServiceFailure(ApiError):
    status = 500

    def __init__(self) -> None:
        super().__init__("An error occurred. Please contact the administrator.")


class ServiceNotImplemented(ApiError):
    status = 501
    reason = "Service not implemented"


class OperationNotImplemented(ApiError):
    status = 501
    reason = "Operation not implemented"


class OAuthError(ApiError):
    """An error of the token endpoint; *code* is an error code of OAuth 2, for instance `invalid_grant`."""

    status = 400

    def __init__(self, code: str, description: str | None = None) -> None:
        super().__init__(description or code)
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that breaks a rule; *value* is the value sent, or None when the field was not sent."""

    field: str
    message: str
    value: Any = None


class ValidationError(ApiError):
    """One or more fields break a rule; *location* is the name of the entity."""

    status = 400
    reason = "Validation error"

    def __init__(self, location: str, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.location = location
        self.problems = tuple(problems)
