"""The circuit breaker of a subscriber: when it opens, and when the next probe is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from learning_hub.model.circuit_breaker import (
    BreakerChange,
    Pause,
    SubscriberFailure,
    after_failure,
    subscriber_failure,
)

NOW = datetime(2031, 3, 14, 6, 0, tzinfo=UTC)
AWAY = SubscriberFailure(code="connection_failed", failure_class="unavailable", message="Away.", first_probe_seconds=5)
REFUSED = SubscriberFailure(
    code="credentials_refused", failure_class="refused", message="No.", first_probe_seconds=None
)

DENIED = SubscriberFailure(code="token_denied", failure_class="unavailable", message="Denied.", first_probe_seconds=5)


def failed(pause: Pause | None, failure: SubscriberFailure, *, at: datetime, is_probe: bool) -> Pause:
    """The open breaker after a failure."""
    after = after_failure("imis", pause, failure, at=at, is_probe=is_probe).pause
    assert after is not None
    return after


def opened(failure: SubscriberFailure = AWAY) -> Pause:
    return failed(None, failure, at=NOW, is_probe=False)


def seconds_to_probe(pause: Pause, since: datetime = NOW) -> float | None:
    return None if pause.next_probe_utc is None else (pause.next_probe_utc - since).total_seconds()


def test_probes_come_after_five_seconds_doubling_to_a_minute() -> None:
    """Each probe that fails doubles the wait for the next one, up to sixty seconds."""
    pause, at, waits = opened(), NOW, []
    for _ in range(6):
        assert pause.next_probe_utc is not None
        waits.append((pause.next_probe_utc - at).total_seconds())
        at = pause.next_probe_utc
        pause = failed(pause, AWAY, at=at, is_probe=True)
    assert waits == [5, 10, 20, 40, 60, 60]
    assert pause.since_utc == NOW


def test_a_long_first_wait_is_not_cut_short() -> None:
    """Where the first wait is set to more than a minute, it stays that."""
    failure = SubscriberFailure(code="timed_out", failure_class="unavailable", message="", first_probe_seconds=300)
    pause = failed(opened(failure), failure, at=NOW, is_probe=True)
    assert seconds_to_probe(pause) == 300


def test_what_was_under_way_as_well_changes_nothing() -> None:
    """Failures of those that were sent before the pause neither prolong it nor double the wait."""
    later = NOW + timedelta(seconds=4)
    assert failed(opened(), AWAY, at=later, is_probe=False) == opened()


@pytest.mark.parametrize(("asked", "wait"), [(120, 120), (1, 5), (10**9, 86_400)])
def test_a_subscriber_that_asks_to_wait_is_left_alone_until_then(asked: float, wait: float) -> None:
    """`Retry-After` makes the wait longer, never shorter, and up to a day."""
    failure = SubscriberFailure(
        code="rate_limited", failure_class="unavailable", message="", first_probe_seconds=5, asked_wait_seconds=asked
    )
    assert seconds_to_probe(opened(failure)) == wait
    assert seconds_to_probe(failed(opened(), failure, at=NOW, is_probe=False)) == wait


def test_refused_credentials_have_no_probes_whatever_else_fails() -> None:
    """Nothing but a person ends that: a failure of another kind does not bring probes back."""
    pause = failed(opened(), REFUSED, at=NOW + timedelta(seconds=1), is_probe=True)
    assert (pause.code, pause.next_probe_utc, pause.since_utc) == ("credentials_refused", None, NOW)
    assert failed(pause, AWAY, at=NOW + timedelta(seconds=2), is_probe=False) == pause


@pytest.mark.parametrize(
    ("code", "is_away", "first_probe_seconds"),
    [("connection_failed", True, 5), ("rate_limited", False, 5), ("credentials_refused", False, None)],
)
def test_what_concerns_the_whole_subscriber_opens_it(
    code: str, is_away: bool, first_probe_seconds: float | None
) -> None:
    """A subscriber that is away, asks to wait, or refuses the credentials; no probe follows refused credentials."""
    failure = subscriber_failure(code, "No.", is_away=is_away, first_probe_seconds=5)
    assert failure is not None
    assert failure.first_probe_seconds == first_probe_seconds


def test_a_lone_failure_does_not_open_it() -> None:
    """A subscriber that failed on one record, or refused one, gets the others."""
    assert subscriber_failure("subscriber_error", "No.", is_away=False, first_probe_seconds=5) is None
    assert subscriber_failure("refused", "No.", is_away=False, first_probe_seconds=5) is None


def test_only_the_attempt_that_opens_it_and_its_probes_count() -> None:
    """Deliveries that were under way beside them use up no attempt, and none does where credentials are refused."""

    def change(pause: Pause | None, failure: SubscriberFailure, *, is_probe: bool) -> BreakerChange:
        return after_failure("imis", pause, failure, at=NOW, is_probe=is_probe)

    opening, probe = change(None, AWAY, is_probe=False), change(opened(), AWAY, is_probe=True)
    assert (opening.is_opened, opening.uses_attempt) == (True, True)
    assert (probe.is_opened, probe.uses_attempt) == (False, True)
    assert not change(opened(), AWAY, is_probe=False).uses_attempt
    assert not change(None, REFUSED, is_probe=False).uses_attempt


def test_a_refusal_of_credentials_that_were_fixed_meanwhile_means_nothing() -> None:
    """It neither opens the breaker nor changes the open one."""
    for pause in (None, opened()):
        change = after_failure("imis", pause, REFUSED, at=NOW, is_probe=False, are_credentials_fixed=True)
        assert change == BreakerChange(pause=pause)


def test_the_third_probe_in_a_row_that_is_denied_counts_as_refused_credentials() -> None:
    """Two are probed again; the third one ends all probes, and its delivery waits without using up an attempt."""
    pause = opened(DENIED)
    for _ in range(2):
        pause = failed(pause, DENIED, at=NOW, is_probe=True)
        assert (pause.code, pause.sends_probes) == ("token_denied", True)
    change = after_failure("imis", pause, DENIED, at=NOW, is_probe=True)
    assert change.pause is not None
    assert (change.pause.code, change.pause.failure_class) == ("credentials_refused", "refused")
    assert (change.pause.sends_probes, change.is_opened, change.uses_attempt) == (False, True, False)
    assert change.pause.message.startswith("Denied. This was so for 3 probes in a row.")


@pytest.mark.parametrize("is_probe", [True, False])
def test_only_probes_in_a_row_count(is_probe: bool) -> None:
    """Another failure of a probe begins the count anew; deliveries that were under way do not count."""
    pause = opened(DENIED)
    for failure, probes in ((DENIED, True), (DENIED, True), (AWAY if is_probe else DENIED, is_probe)):
        pause = failed(pause, failure, at=NOW, is_probe=probes)
    assert pause.sends_probes
    after = failed(pause, DENIED, at=NOW, is_probe=True)
    assert after.sends_probes is is_probe


def test_a_third_denied_probe_means_nothing_once_the_credentials_were_fixed() -> None:
    """They were changed, or found valid, while the probe was under way."""
    pause = opened(DENIED)
    for _ in range(2):
        pause = failed(pause, DENIED, at=NOW, is_probe=True)
    change = after_failure("imis", pause, DENIED, at=NOW, is_probe=True, are_credentials_fixed=True)
    assert change.pause == pause
