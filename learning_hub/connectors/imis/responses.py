"""
What a response of iMIS means for a delivery.

    Failed           ends a series of requests to iMIS; holds the outcome that the worker gets
    outcome_of       from a response that is no success to an outcome
    error_text       the reason that iMIS gives
    blames_question  whether the request itself is at fault
    names_field      whether the reason is about a certain field

Sources: the hub's contract, section 6, which takes precedence over the iMIS reference (sections 6 and 12).
"""

from __future__ import annotations

from collections.abc import Collection

from learning_hub.connectors.error_words import reasons_in
from learning_hub.connectors.http import HttpResponse, NotSent, OutcomeUnknown
from learning_hub.connectors.imis.wire import member, read_object, values_of
from learning_hub.connectors.outcomes import Failure, Postponed, Refused, Unknown
from learning_hub.connectors.responses import StatusMeanings, classify_failure, describe_response, is_page, shorten

# An account may lack the right to one entity, so 403 says nothing about its credentials.
STATUSES = StatusMeanings(credentials_refused=frozenset((401,)))


class Failed(Exception):
    """
    iMIS did not do what it was asked to; *outcome* says why, and the connector returns it.

    *blames_question* says that the request itself is at fault, and not that something is missing or not allowed.
    """

    def __init__(self, outcome: Failure, *, blames_question: bool = False) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome
        self.blames_question = blames_question

    @property
    def message(self) -> str:
        """Why, for a person who waits for the answer, with the wait that the site asks for."""
        return self.outcome.message_with_wait if isinstance(self.outcome, Postponed) else self.outcome.message

    @property
    def concerns_all(self) -> bool:
        """Whether every request would fail like this one: the site is away, or the account cannot sign in."""
        outcome = self.outcome
        if isinstance(outcome, Refused):
            return outcome.code in ("credentials_refused", "target_not_allowed")
        return outcome.subscriber_is_away or outcome.code == "rate_limited"

    @property
    def is_refusal(self) -> bool:
        """Whether only this request was refused, and another may succeed."""
        return isinstance(self.outcome, Refused) and self.outcome.code == "refused"


def outcome_of(response: HttpResponse, doing: str, *, wrote: bool) -> Postponed | Refused:
    """
    The outcome of a response that is no success. The caller handles 401, by renewing the token first.

    Args:
        response: With a status of 300 or more.
        doing: What the hub wanted to do, for the sentence (`create a record of Activity`).
        wrote: Whether the request was to change something; then some statuses leave open whether it did.
    """
    message = f"The hub could not {doing}: iMIS answered {describe_response(response, error_text(response))}"
    return classify_failure(response, message, wrote=wrote, meanings=STATUSES)


def outcome_without_response(result: NotSent | OutcomeUnknown, doing: str, *, wrote: bool) -> Postponed | Unknown:
    """The outcome without a complete response: unknown only if something may have been changed."""
    if isinstance(result, NotSent):
        message = f"The hub could not reach iMIS to {doing}. {result.message}"
        return Postponed(code=result.code, message=message, subscriber_is_away=True)
    message = f"The hub got no whole answer from iMIS when it was to {doing}. {result.message}"
    if wrote:
        return Unknown(code=result.code, message=message)
    return Postponed(code=result.code, message=message, subscriber_is_away=True)


def unreadable_response(response: HttpResponse, doing: str, *, wrote: bool) -> Postponed | Unknown:
    """
    The outcome of a success that cannot be read, of iMIS or of something that answers in its place.

    The status of a write says that it was carried out, so the record is looked for and the subscriber is not paused,
    unless the time ran out.
    """
    flaw = response.flaw
    if flaw is None:
        description = describe_response(response, error_text(response))
        message = f"What answered when the hub was to {doing} does not speak as iMIS does: {description}"
    else:
        message = f"iMIS answered {response.status} when the hub was to {doing}, but {flaw.message}."
    code = flaw.code if flaw else "subscriber_error"
    if not wrote:
        return Postponed(code=code, message=message, subscriber_is_away=code != "subscriber_error")
    if code == "timed_out":
        return Unknown(code=code, message=message)
    return Unknown(code="subscriber_error", message=message, subscriber_is_away=False)


def error_text(response: HttpResponse) -> str:
    """
    The reason that iMIS gives in a response, shortened; empty where it gives none.

    Read in this order: validation results, the error of Web API with all that it says, the error of OAuth, text. An
    error of any other form is the reason as it was written.
    """
    document = read_object(response.text.encode())
    if document is None:
        return "an HTML page" if is_page(response) else shorten(response.text.strip().strip('"'))
    said = [_validation_text(error) for error in _errors_in(document) or _errors_in(document, "Warnings")]
    said = said or reasons_in(document)
    if not said:
        values = (member(document, name) for name in ("error_description", "error"))
        said = [value for value in values if value and isinstance(value, str)][:1]
    # A success may hold data of people, which is no reason.
    if not said and not response.is_success and any(document[name] for name in document if name[:1] != "$"):
        return shorten(response.text)
    return shorten(" ".join(said))


def blames_question(response: HttpResponse) -> bool:
    """
    Whether an existing service found fault with the request.

    A missing service says so in its text, whatever the status is (section 2.5).
    """
    return response.status == 400 and "no service" not in error_text(response).casefold()


def names_field(response: HttpResponse, fields: Collection[str]) -> bool:
    """Whether a validation result of iMIS is about one of *fields*, in any case."""
    document = read_object(response.text.encode()) or {}
    names = {field.casefold() for field in fields}
    return any(_field_of(error).casefold() in names for error in _errors_in(document))


def _errors_in(document: dict[str, object], kind: str = "Errors") -> list[dict[str, object]]:
    """The entries of `ValidationResultsData`, which the response to a named operation has as a member."""
    results = member(document, "ValidationResults")
    errors = values_of(member(document, kind)) or values_of(member(results if isinstance(results, dict) else {}, kind))
    return [error for error in errors if isinstance(error, dict)]


def _validation_text(error: dict[str, object]) -> str:
    """`CourseCode: must not be longer`: the field is named unless the message names it."""
    message = str(member(error, "Message") or member(error, "ErrorMessage") or "is not valid")
    field = _field_of(error)
    return message if field.casefold() in message.casefold() else f"{field}: {message}"


def _field_of(error: dict[str, object]) -> str:
    return str(member(error, "FieldName") or member(error, "PropertyName") or "")
