"""The outcome of a response by its status, with the meanings that a kind of subscriber declares."""

from __future__ import annotations

import pytest

from learning_hub.connectors.http import HttpResponse
from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused
from learning_hub.connectors.responses import StatusMeanings, classify

USUAL = StatusMeanings()
CONFLICT_IS_SUCCESS = StatusMeanings(already_there=frozenset((409,)))


def outcome(status: int, meanings: StatusMeanings = USUAL) -> Outcome:
    response = HttpResponse(status=status, headers={}, body=b"", text="")
    return classify(response, "Why.", wrote=True, meanings=meanings)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    """The record was written, whatever else the kind declares."""
    assert outcome(status) == outcome(status, CONFLICT_IS_SUCCESS) == Accepted()


def test_a_status_can_say_that_the_record_is_there_already() -> None:
    """409 is a refusal, and a success that wrote nothing where the kind declares it so; other statuses stay."""
    assert outcome(409) == Refused(code="refused", message="Why.")
    assert outcome(409, CONFLICT_IS_SUCCESS) == Accepted(unchanged=True)
    assert outcome(410, CONFLICT_IS_SUCCESS) == Refused(code="refused", message="Why.")


def test_a_status_can_end_the_subscription() -> None:
    """410 stops the subscription where the kind declares it so."""
    gone = StatusMeanings(gone=frozenset((410,)))
    assert outcome(410, gone) == Refused(code="gone", message="Why.", stops_subscription=True)


def test_which_statuses_refuse_the_credentials() -> None:
    """401 and 403 unless the kind declares others."""
    codes = [getattr(outcome(status), "code", "") for status in (401, 403, 400)]
    assert codes == ["credentials_refused", "credentials_refused", "refused"]
    only_401 = StatusMeanings(credentials_refused=frozenset((401,)))
    assert getattr(outcome(403, only_401), "code", "") == "refused"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_postponed(status: int) -> None:
    """Another attempt may succeed, whatever else the kind declares."""
    assert isinstance(outcome(status, CONFLICT_IS_SUCCESS), Postponed)
