"""The outcome of a response by its status, with the meanings that a kind of subscriber declares."""

from __future__ import annotations

import pytest

from learning_hub.connectors.http import HttpResponse
from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused
from learning_hub.connectors.responses import StatusMeanings, classify, retry_after_seconds
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS

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


@pytest.mark.parametrize("status", [0, 99, 101, 408, 425, 429, 500, 502, 503, 504, 599, 600, 999])
def test_what_may_pass_is_postponed(status: int) -> None:
    """Another attempt may succeed, whatever else the kind declares."""
    assert isinstance(outcome(status, CONFLICT_IS_SUCCESS), Postponed)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("+7", 7),
        ('"7"', 7),
        ("0", 0),
        ("120, 60", 120),
        ("30 s", 30),
        ("5 minutes", 300),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        ("1994-11-06T08:49:37Z", 0),
        *(
            (endless, LONGEST_ASKED_WAIT_SECONDS)
            for endless in (
                "9999999999",
                "9" * 5000,
                "1e999",
                "9999999999999999999.5",
                "Fri, 31 Dec 2999 23:59:59 GMT",
                "Fri, 31 Dec 9999 23:59:59 -1200",
                "Fri, 31 Dec 99999 23:59:59 GMT",
                "2999-12-31T23:59:59Z",
                "2999-12-31",
            )
        ),
    ],
)
def test_a_wait_that_is_asked_for_is_obeyed_up_to_a_day(asked: str, seconds: float) -> None:
    """Seconds of any size and dates of every form; a date that is past is no wait."""
    response = HttpResponse(status=429, headers={"retry-after": asked}, body=b"", text="")
    assert retry_after_seconds(response) == seconds


@pytest.mark.parametrize(
    "asked", ["", "-5", "-9999999999", "soon", "inf", "nan", "\u0663", "0x10", "12:30", "Fri, 31 Feb 2031 00:00:00 GMT"]
)
def test_what_is_no_wait_and_no_date_asks_for_none(asked: str) -> None:
    """The usual waits are kept."""
    response = HttpResponse(status=429, headers={"retry-after": asked}, body=b"", text="")
    assert retry_after_seconds(response) is None
