"""
What a response of LearningBuilder means for every delivery of a batch.

LearningBuilder cannot be asked for a batch, and a batch that is sent twice is imported twice. So the hub resends a
batch only where it certainly was not accepted: nothing was sent, or the server answered before it began any work (408,
425, 429, 503). Any other server error, a single 500 as well, may have come after the batch was created, and needs a
person who looks.

Source: the hub's contract, section 6.
"""

from __future__ import annotations

import msgspec

from learning_hub.connectors.error_words import reasons_in
from learning_hub.connectors.http import HttpResponse, NotSent, OutcomeUnknown
from learning_hub.connectors.learningbuilder.batch import batch_id_in
from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Unknown
from learning_hub.connectors.responses import (
    AWAY,
    StatusMeanings,
    classify_failure,
    describe_response,
    is_of_server,
    is_page,
    retry_after_seconds,
    shorten,
)
from learning_hub.model.errors import InvalidInput
from learning_hub.model.json_values import read_json

# A server that answers with one of these did not begin: RFC 9110, 15.5.9 and 15.6.4; RFC 8470; RFC 6585.
_NOT_BEGUN = (408, 425, 429, 503)
_LOOK = "Look among the recent imports of LearningBuilder, then requeue or discard."


def outcome_of(response: HttpResponse, file_name: str) -> Outcome:
    """The outcome of a complete response to the batch *file_name*."""
    status = response.status
    if response.is_success:
        return _accepted(response, file_name)
    message = f"LearningBuilder answered {describe_response(response, _reason_of(response))}"
    if is_of_server(status) and status not in _NOT_BEGUN:
        doubt = f"{message} It may have taken the batch {file_name} before."
        outcome = _unknown(doubt, away=(AWAY[status], message) if status in AWAY else None)
        return msgspec.structs.replace(outcome, retry_after_seconds=retry_after_seconds(response))
    # A request that the server did not begin changed nothing.
    return classify_failure(response, message, wrote=False, meanings=StatusMeanings())


def outcome_without_response(result: NotSent | OutcomeUnknown, file_name: str) -> Postponed | Unknown:
    """The outcome without a complete response to the batch *file_name*."""
    if isinstance(result, NotSent):
        message = f"The hub could not reach LearningBuilder. {result.message}"
        return Postponed(code=result.code, message=message, subscriber_is_away=True)
    return _unknown(
        f"LearningBuilder gave no whole answer to the batch {file_name}. {result.message}",
        away=(result.code, f"LearningBuilder gave no whole answer. {result.message}"),
    )


def _accepted(response: HttpResponse, file_name: str) -> Accepted | Unknown:
    batch_id = batch_id_in(response)
    if batch_id is None and response.flaw is not None:
        flaw, answered = response.flaw, f"LearningBuilder answered {response.status} to the batch {file_name}"
        away = (flaw.code, f"LearningBuilder gave no whole answer: {flaw.message}.")
        return _unknown(f"{answered}, but {flaw.message}.", away=away if flaw.code == "timed_out" else None)
    if batch_id is None:
        message = f"The response does not contain the batch that was made of {file_name}: {describe_response(response)}"
        return _unknown(message)
    return Accepted(record_id=batch_id, note=f"Accepted for import as batch {batch_id}, not yet imported.")


def _unknown(message: str, *, away: tuple[str, str] | None = None) -> Unknown:
    """An outcome for a person; *away* is the code and the sentence of the pause, where LearningBuilder is away."""
    code, about_subscriber = away or ("outcome_unknown", None)
    return Unknown(
        code=code,
        message=f"{message} {_LOOK}",
        about_subscriber=about_subscriber,
        subscriber_is_away=away is not None,
        is_final=True,
    )


def _reason_of(response: HttpResponse) -> str:
    """The reason that LearningBuilder gives: the words of an error of .NET, or the text."""
    if is_page(response):
        return "an HTML page"
    try:
        document = read_json(response.text)
    except InvalidInput:
        return shorten(response.text)
    if isinstance(document, dict):
        errors = [value for name, value in document.items() if name.lower() == "error" and isinstance(value, str)]
        if reasons := reasons_in(document) or errors:
            return shorten(" ".join(reasons))
    return shorten(document if isinstance(document, str) else response.text)
