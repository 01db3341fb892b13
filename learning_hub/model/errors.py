"""
Every error of the hub, split by what the caller can do about it.

    LearningHubError
    ├─ InvalidInput          the request is wrong; fix it and send again
    │  ├─ InvalidFields      with every bad field and why
    │  ├─ TooLarge
    │  └─ NotJson            the body is not declared as JSON
    │     └─ EncodingNotTaken   the body is declared as compressed
    ├─ TooSlow               the body came too slowly
    ├─ NotAuthenticated      the key is missing, unknown, expired or revoked
    ├─ NotAllowed            the key does not permit this, or not for this Program
    ├─ NotFound
    ├─ Conflict              the request conflicts with the present state
    ├─ PreconditionFailed    what If-Match or If-None-Match asks for does not hold
    ├─ TooManyRequests       send again later
    │  ├─ TooManyBodies         too many bodies of one key are being received
    │  ├─ TooManyAnswers        too many answers to one key are not taken
    │  ├─ TooManyReaders        too many requests of one key wait for entries of the feed
    │  ├─ TooManyPreviews       too many previews of one key are made
    │  └─ TooManyUnknownKeys    too many keys were tried from one address
    ├─ Unavailable           the database is away, or too many requests are waiting
    │  ├─ KeysMissing           the hub has no key to encrypt credentials with
    │  └─ CredentialsUnreadable
    └─ TemplateError         a template cannot be used, or gives no payload for this event

An error holds data and a short, stable `code`; docs/reference/errors.md lists every code. It knows nothing of HTTP:
`api/http/problems.py` has the one table from class to status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class LearningHubError(Exception):
    """The hub failed in a known way."""

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
    """The request is wrong."""

    code = "invalid_input"


class FieldError(msgspec.Struct, frozen=True):
    """One bad field: its path (`PublisherEventCategory.value`) and the error."""

    field: str
    message: str


# The most bad fields that an answer lists, for an event and for a request; and those that its sentence names.
MOST_ERRORS_OF_EVENT = 100
MOST_ERRORS = 1000
MOST_NAMED = 20
# How the name of an entry ends that stands for several bad fields; its message begins with their number. So does a
# name that was shortened, whose message does not.
MORE = "…"
_NUMBER_OF_MORE = re.compile(r"(\d+) more ")


class InvalidFields(InvalidInput):
    """Some fields are wrong; at *most* so many are listed, and the sentence says how many *more* there are."""

    code = "invalid_fields"

    def __init__(self, errors: list[FieldError], *, most: int = MOST_ERRORS, more: int = 0) -> None:
        self.errors = errors[:most]
        self.more = more + count_errors(errors) - count_errors(self.errors)
        super().__init__(_sentence(self.errors, self.more))

    @property
    def field_errors(self) -> list[FieldError]:
        return self.errors


def count_errors(errors: list[FieldError]) -> int:
    """How many bad fields there are, with those that an entry stands for."""
    numbers = (_NUMBER_OF_MORE.match(error.message) for error in errors if error.field.endswith(MORE))
    return len(errors) + sum(int(number[1]) - 1 for number in numbers if number)


def _sentence(listed: list[FieldError], more: int) -> str:
    names = list(dict.fromkeys(error.field for error in listed if not error.field.endswith(MORE)))
    named = ", ".join(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        named += f" and {len(names) - MOST_NAMED} more"
    sentences = [f"Not accepted: {named}."] if names else []
    return " ".join([*sentences, *([f"{more} more bad fields are not listed."] if more else [])])


@contextmanager
def gathered(errors: list[FieldError]) -> Iterator[None]:
    """Errors for bad fields that are raised within are added to *errors*, so that later checks run as well."""
    try:
        yield
    except InvalidFields as error:
        errors += error.errors


class TooLarge(InvalidInput):
    """The body is too large."""

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
    """The key does not permit this."""

    code = "not_allowed"


class NotFound(LearningHubError):
    """Nothing exists at this address."""

    code = "not_found"


class Conflict(LearningHubError):
    """
    The request conflicts with the present state.

    *retry_after_seconds* is how long to wait before sending again; None if waiting alone does not help, or the time is
    unknown.
    """

    code = "conflict"

    def __init__(
        self, detail: str | None = None, *, code: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class TooSlow(LearningHubError):
    """The body came too slowly, or no longer."""

    code = "body_too_slow"


class PreconditionFailed(LearningHubError):
    """What If-Match or If-None-Match asks for does not hold."""

    code = "precondition_failed"


class TooManyRequests(LearningHubError):
    """Too many requests with this key."""

    code = "too_many_requests"

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__()


class TooManyBodies(TooManyRequests):
    """Too many, or too large, bodies of this key are being received; send fewer at once."""

    code = "too_many_bodies"


class TooManyAnswers(TooManyRequests):
    """Too many, or too large, answers to this key are not taken."""

    code = "too_many_answers"


class TooManyReaders(TooManyRequests):
    """Too many requests of this key are waiting for entries of the feed."""

    code = "too_many_readers"


class TooManyPreviews(TooManyRequests):
    """Too many requests of this key wait for their templates to be rendered or compiled."""

    code = "too_many_previews"


class TooManyUnknownKeys(TooManyRequests):
    """Too many unknown keys came from this address within a minute."""

    code = "too_many_unknown_keys"


class Unavailable(LearningHubError):
    """The hub cannot answer just now; nothing was stored."""

    code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: float = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(detail)


class KeysMissing(Unavailable):
    """The hub has no key to encrypt credentials with."""

    code = "secret_keys_missing"


class CredentialsUnreadable(Unavailable):
    """The stored credentials cannot be read."""

    code = "credentials_unreadable"


class TemplateError(LearningHubError):
    """
    A template cannot be used, or gives no payload for this event.

    *place* is the path in the subscription's templates: the category and the keys down to the leaf, joined with dots
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
