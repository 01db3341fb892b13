"""
Every error of the hub, split by what the caller can do about it.

    LearningHubError
    ├─ InvalidInput          what was sent is wrong; mend it and send again
    │  ├─ InvalidFields      with every bad field and why
    │  ├─ TooLarge
    │  └─ NotJson            the body is declared as something else
    │     └─ EncodingNotTaken   it is declared as compressed
    ├─ NotAuthenticated      no key, or one that is unknown, expired or revoked
    ├─ NotAllowed            the key may not do this, or not for this Program
    ├─ NotFound
    ├─ Conflict              what was asked for does not fit what is there
    ├─ TooManyRequests       come back later
    ├─ Unavailable           the database is away, or too much is waiting
    └─ TemplateError         a template cannot be used, or gives no payload for this event

An error holds data and a short, stable `code`; docs/reference/errors.md lists every code. It knows nothing of HTTP:
`api/problems.py` has the one table from class to status.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class LearningHubError(Exception):
    """Something went wrong in a way the hub has a name for."""

    code = "error"

    def __init__(self, detail: str | None = None, *, code: str | None = None) -> None:
        super().__init__(detail or self.__doc__ or "")
        self.code = code or self.code

    @property
    def detail(self) -> str:
        """A sentence for the caller."""
        return str(self)

    @property
    def field_errors(self) -> list[FieldError]:
        """The bad fields; empty where no field is bad."""
        return []


class InvalidInput(LearningHubError):
    """What was sent is wrong."""

    code = "invalid_input"


class FieldError(msgspec.Struct, frozen=True):
    """One bad field: its path (`PublisherEventCategory.value`) and what is wrong with it."""

    field: str
    message: str


class InvalidFields(InvalidInput):
    """Some fields are wrong."""

    code = "invalid_fields"

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        named = ", ".join(dict.fromkeys(error.field for error in errors))
        super().__init__(f"Not accepted: {named}.")

    @property
    def field_errors(self) -> list[FieldError]:
        return self.errors


@contextmanager
def gathered(errors: list[FieldError]) -> Iterator[None]:
    """Bad fields that are found within go to *errors*, so that what comes after is judged as well."""
    try:
        yield
    except InvalidFields as error:
        errors += error.errors


class TooLarge(InvalidInput):
    """More was sent than is taken."""

    code = "too_large"


class NotJson(InvalidInput):
    """The body is not declared as JSON."""

    code = "not_json"


class EncodingNotTaken(NotJson):
    """The body is declared as compressed; *encoding* is what its Content-Encoding says."""

    code = "encoding_not_taken"

    def __init__(self, encoding: str) -> None:
        super().__init__(f"The body is declared with Content-Encoding: {encoding[:100]}. Send it uncompressed.")


class NotAuthenticated(LearningHubError):
    """A valid API key is needed: as X-API-Key, as Authorization: Bearer, or as the password of HTTP Basic."""

    code = "not_authenticated"


class NotAllowed(LearningHubError):
    """This key may not do this."""

    code = "not_allowed"


class NotFound(LearningHubError):
    """There is nothing here."""

    code = "not_found"


class Conflict(LearningHubError):
    """
    What was asked for does not fit what is there.

    *retry_after_seconds* is how long to wait before asking again, None where waiting alone does not help or nobody
    said how long.
    """

    code = "conflict"

    def __init__(
        self, detail: str | None = None, *, code: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(LearningHubError):
    """Too many requests with this key."""

    code = "too_many_requests"

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__()


class Unavailable(LearningHubError):
    """The hub cannot answer just now; nothing was stored."""

    code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: float = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(detail)


class TemplateError(LearningHubError):
    """
    A template cannot be used, or gives no payload for this event.

    *place* is where in the subscription's templates: the category and the keys down to the leaf, joined with dots
    (`_default.Outer.Inner`).
    """

    code = "template_error"

    def __init__(self, message: str, *, place: str) -> None:
        self.message = message
        self.place = place
        super().__init__(f"{message} (at {place})")

    @property
    def field_errors(self) -> list[FieldError]:
        return [FieldError(f"Templates.{self.place}", self.message)]
