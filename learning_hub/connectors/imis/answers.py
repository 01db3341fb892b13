"""
What an answer of iMIS means for the delivery.

    Failed        ends a conversation with iMIS; holds the outcome that the worker will get
    error_text    iMIS's own words
    blames_question  whether what was asked is at fault
    names_field   whether they are about a certain field
    outcome_of    from an answer that is no success to an outcome

Sources: the hub's contract, section 6, which counts where the iMIS reference (sections 6 and 12) says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection

from learning_hub.connectors.answers import is_page, postponed, shorten, told
from learning_hub.connectors.base import Postponed, Refused, Unknown
from learning_hub.connectors.http import Answer, NotSent, OutcomeUnknown
from learning_hub.connectors.imis.wire import member, read_object, values_of


class Failed(Exception):
    """
    The conversation is over; *outcome* says why, and the connector returns it.

    *blames_question* says that what was asked is at fault, and not that something is missing or not allowed.
    """

    def __init__(self, outcome: Postponed | Refused | Unknown, *, blames_question: bool = False) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome
        self.blames_question = blames_question

    @property
    def message(self) -> str:
        """Why, for a person who waits for it, with the wait that the site asks for."""
        return self.outcome.message_with_wait if isinstance(self.outcome, Postponed) else self.outcome.message

    @property
    def concerns_all(self) -> bool:
        """Whether the next question would fail as this one did: the site is away, or the account is not let in."""
        outcome = self.outcome
        if isinstance(outcome, Refused):
            return outcome.code in ("credentials_refused", "target_not_allowed")
        return outcome.subscriber_is_away or outcome.code == "rate_limited"

    @property
    def is_refusal(self) -> bool:
        """Whether one thing alone was refused, after which another may be asked for."""
        return isinstance(self.outcome, Refused) and self.outcome.code == "refused"


def outcome_of(answer: Answer, doing: str, *, wrote: bool) -> Postponed | Refused:
    """
    The outcome that follows from an answer that is no success; 401 is not among them, the caller renews first.

    Args:
        answer: With a status of 300 or more.
        doing: What the hub was to do, for the sentence (`create a record of Activity`).
        wrote: Whether it was to change something; then some answers leave open whether it did.
    """
    message = f"The hub could not {doing}: iMIS answered {told(answer, error_text(answer))}"
    return postponed(answer, message, wrote=wrote) or Refused(code="refused", message=message)


def unanswered(result: NotSent | OutcomeUnknown, doing: str, *, wrote: bool) -> Postponed | Unknown:
    """The outcome where there was no whole answer: unknown only if something may have been changed."""
    if isinstance(result, NotSent):
        message = f"The hub could not reach iMIS to {doing}. {result.message}"
        return Postponed(code=result.code, message=message, subscriber_is_away=True)
    message = f"The hub got no whole answer from iMIS when it was to {doing}. {result.message}"
    if wrote:
        return Unknown(code=result.code, message=message)
    return Postponed(code=result.code, message=message, subscriber_is_away=True)


def rubbish(answer: Answer, doing: str, *, wrote: bool) -> Postponed | Unknown:
    """The outcome where iMIS, or something in its place, answered a success that cannot be read."""
    message = (
        f"What answered when the hub was to {doing} does not speak as iMIS does: {told(answer, error_text(answer))}"
    )
    if wrote:
        return Unknown(code="subscriber_error", message=message, subscriber_is_away=False)
    return Postponed(code="subscriber_error", message=message)


def error_text(answer: Answer) -> str:
    """
    The words of iMIS in an answer, shortened; empty where it says nothing.

    Read in this order: validation results, the error of Web API, the error of OAuth, text.
    """
    document = read_object(answer.text.encode())
    if document is None:
        return "an HTML page" if is_page(answer) else shorten(answer.text.strip().strip('"'))
    said = [_validation_words(error) for error in _errors_in(document) or _errors_in(document, "Warnings")]
    if not said:
        names = ("Message", "ExceptionMessage", "error_description", "error")
        said = [str(member(document, name)) for name in names if member(document, name)][:1]
    return shorten(" ".join(filter(None, said)))


def blames_question(answer: Answer) -> bool:
    """
    Whether a service that is there found fault with what it was asked.

    A service that is not there says so in words, whatever the status is (section 2.5).
    """
    return answer.status == 400 and "no service" not in error_text(answer).casefold()


def names_field(answer: Answer, fields: Collection[str]) -> bool:
    """Whether a validation result of iMIS is about one of *fields*, in any case."""
    document = read_object(answer.text.encode()) or {}
    wanted = {field.casefold() for field in fields}
    return any(str(member(error, "FieldName") or "").casefold() in wanted for error in _errors_in(document))


def _errors_in(document: dict[str, object], kind: str = "Errors") -> list[dict[str, object]]:
    return [error for error in values_of(member(document, kind)) if isinstance(error, dict)]


def _validation_words(error: dict[str, object]) -> str:
    """`CourseCode: must not be longer`: the field is named unless the message names it."""
    message, field = str(member(error, "Message") or "is not valid"), member(error, "FieldName")
    return message if not field or str(field).casefold() in message.casefold() else f"{field}: {message}"
