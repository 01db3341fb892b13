"""When a paused subscriber is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from learning_hub.model.circuit_breaker import Pause, PauseReason, paused

NOW = datetime(2031, 3, 14, 6, 0, tzinfo=UTC)
AWAY = PauseReason(code="connection_failed", failure_class="unavailable", message="Away.", first_probe_seconds=5)
REFUSED = PauseReason(code="credentials_refused", failure_class="refused", message="No.", first_probe_seconds=None)


def begun(reason: PauseReason = AWAY) -> Pause:
    return paused("imis", None, reason, at=NOW, is_probe=False)


def seconds_to_probe(pause: Pause, since: datetime = NOW) -> float | None:
    return (pause.next_probe_utc - since).total_seconds() if pause.next_probe_utc else None


def test_probes_come_after_five_seconds_doubling_to_a_minute() -> None:
    """Each probe that fails doubles the wait for the next one, up to sixty seconds."""
    pause, at, waits = begun(), NOW, []
    for _ in range(6):
        assert pause.next_probe_utc is not None
        waits.append((pause.next_probe_utc - at).total_seconds())
        at = pause.next_probe_utc
        pause = paused("imis", pause, AWAY, at=at, is_probe=True)
    assert waits == [5, 10, 20, 40, 60, 60]
    assert pause.since_utc == NOW


def test_a_long_first_wait_is_not_cut_short() -> None:
    """Where the first wait is set to more than a minute, it stays that."""
    reason = PauseReason(code="timed_out", failure_class="unavailable", message="", first_probe_seconds=300)
    pause = paused("imis", begun(reason), reason, at=NOW, is_probe=True)
    assert seconds_to_probe(pause) == 300


def test_what_was_under_way_as_well_changes_nothing() -> None:
    """Failures of those that were sent before the pause neither prolong it nor double the wait."""
    later = NOW + timedelta(seconds=4)
    assert paused("imis", begun(), AWAY, at=later, is_probe=False) == begun()


@pytest.mark.parametrize(("asked", "wait"), [(120, 120), (1, 5), (10**9, 86_400)])
def test_a_subscriber_that_asks_to_wait_is_left_alone_until_then(asked: float, wait: float) -> None:
    """`Retry-After` makes the wait longer, never shorter, and up to a day."""
    reason = PauseReason(
        code="rate_limited", failure_class="unavailable", message="", first_probe_seconds=5, asked_wait_seconds=asked
    )
    assert seconds_to_probe(begun(reason)) == wait
    assert seconds_to_probe(paused("imis", begun(), reason, at=NOW, is_probe=False)) == wait


def test_refused_credentials_have_no_probes_whatever_else_fails() -> None:
    """Nothing but a person ends that: a failure of another kind does not bring probes back."""
    pause = paused("imis", begun(), REFUSED, at=NOW + timedelta(seconds=1), is_probe=True)
    assert (pause.code, pause.next_probe_utc, pause.since_utc) == ("credentials_refused", None, NOW)
    assert paused("imis", pause, AWAY, at=NOW + timedelta(seconds=2), is_probe=False) == pause
