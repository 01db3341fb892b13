"""
What an answer of LearningBuilder means for every delivery of a batch.

A batch cannot be asked for, and sent twice it is imported twice. So it is sent again by itself only where it surely was
not taken: nothing was sent, or something answered before any work was done (408, 425, 429, 503). Any other failure of a
server may have come after the batch was made, a lone 500 as well, and needs a person who looks.

Source: the hub's contract, section 6.
"""

from __future__ import annotations

from learning_hub.connectors.answers import AWAY, is_page, postponed, shorten, told
from learning_hub.connectors.base import (
    Accepted,
    Outcome,
    Postponed,
    Refused,
    Unknown,
)
from learning_hub.connectors.http import Answer, NotSent, OutcomeUnknown
from learning_hub.connectors.learningbuilder.batch import batch_id_in
from learning_hub.model.errors import InvalidInput
from learning_hub.model.json_values import read_json

# A server that answers these did not begin: RFC 9110, 15.5.9 and 15.6.4; RFC 8470; RFC 6585.
_NOT_BEGUN = (408, 425, 429, 503)
_LOOK = "Look among the recent imports of LearningBuilder, then requeue or discard."


def outcome_of(answer: Answer, file_name: str) -> Outcome:
    """The outcome that follows from a whole answer to the batch *file_name*."""
    status = answer.status
    if 200 <= status < 300:
        return _accepted(answer, file_name)
    message = f"LearningBuilder answered {told(answer, _words_of(answer))}"
    if status in (401, 403):
        return Refused(code="credentials_refused", message=message)
    if status in _NOT_BEGUN:
        return postponed(answer, message, wrote=False) or Refused(code="refused", message=message)
    if status >= 500 and status != 501:
        doubt = f"{message} It may have taken the batch {file_name} before."
        return _unknown(doubt, away=(AWAY[status], message) if status in AWAY else None)
    return Refused(code="refused", message=message)


def unanswered(result: NotSent | OutcomeUnknown, file_name: str) -> Postponed | Unknown:
    """The outcome where there was no whole answer to the batch *file_name*."""
    if isinstance(result, NotSent):
        message = f"The hub could not reach LearningBuilder. {result.message}"
        return Postponed(code=result.code, message=message, subscriber_is_away=True)
    return _unknown(
        f"LearningBuilder gave no whole answer to the batch {file_name}. {result.message}",
        away=(result.code, f"LearningBuilder gave no whole answer. {result.message}"),
    )


def _accepted(answer: Answer, file_name: str) -> Accepted | Unknown:
    batch_id = batch_id_in(answer)
    if batch_id is None:
        message = f"What answered does not tell the batch that was made of {file_name}: {told(answer)}"
        return _unknown(message)
    return Accepted(record_id=batch_id, note=f"Accepted for import as batch {batch_id}, not yet imported.")


def _unknown(message: str, *, away: tuple[str, str] | None = None) -> Unknown:
    """For a person to look; *away* are the code and the sentence of the pause, where it is away as a whole."""
    code, about_subscriber = away or ("outcome_unknown", None)
    return Unknown(
        code=code,
        message=f"{message} {_LOOK}",
        about_subscriber=about_subscriber,
        subscriber_is_away=away is not None,
        is_final=True,
    )


def _words_of(answer: Answer) -> str:
    """LearningBuilder's own words: what .NET puts under Message, or the text."""
    if is_page(answer):
        return "an HTML page"
    try:
        document = read_json(answer.text)
    except InvalidInput:
        return shorten(answer.text)
    if isinstance(document, dict):
        lower = {name.lower(): value for name, value in document.items()}
        said = [lower[name] for name in ("message", "exceptionmessage", "detail", "title", "error") if lower.get(name)]
        if said:
            return shorten(str(said[0]))
    return shorten(document if isinstance(document, str) else answer.text)
