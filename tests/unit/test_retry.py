"""When a failed delivery is attempted again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.retry import JITTER, LONGEST_ASKED_WAIT_SECONDS, next_attempt_utc

STEPS = (5, 30, 120, 600, 3600, 21600, 86400)
FAILED_AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(("attempts_used", "seconds"), list(enumerate(STEPS, start=1)))
def test_waits_follow_the_steps(attempts_used: int, seconds: float) -> None:
    """After the nth failure the nth step is waited for."""
    assert next_attempt_utc(attempts_used, FAILED_AT, STEPS, chance=0) == FAILED_AT + timedelta(seconds=seconds)


def test_steps_are_used_up() -> None:
    """After one failure more than there are steps there is no next attempt."""
    assert next_attempt_utc(len(STEPS) + 1, FAILED_AT, STEPS, chance=0) is None


def test_a_failed_attempt_counts() -> None:
    """Asking without a failed attempt is a mistake of the caller."""
    with pytest.raises(ValueError, match="counts"):
        next_attempt_utc(0, FAILED_AT, STEPS, chance=0)


@given(
    attempts_used=st.integers(1, len(STEPS)),
    chance=st.floats(0, 1),
    asked=st.none() | st.floats(0, 10 * LONGEST_ASKED_WAIT_SECONDS),
)
def test_wait_lies_between_its_bounds(attempts_used: int, chance: float, asked: float | None) -> None:
    """A wait is never shorter than its step or what was asked for, nor longer than both allow."""
    due = next_attempt_utc(attempts_used, FAILED_AT, STEPS, chance=chance, asked_wait_seconds=asked)
    assert due is not None
    waited = (due - FAILED_AT).total_seconds()
    capped = min(asked or 0, LONGEST_ASKED_WAIT_SECONDS)
    assert waited >= max(STEPS[attempts_used - 1], capped) - 0.001
    assert waited <= max(STEPS[attempts_used - 1] * (1 + JITTER), capped) + 0.001
