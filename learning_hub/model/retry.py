"""What happens after a failed try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

JITTER = 0.2
LONGEST_ASKED_WAIT_SECONDS = 86_400.0


def next_try(
    tries_used: int,
    failed_at: datetime,
    steps_seconds: Sequence[float],
    *,
    chance: float,
    asked_wait_seconds: float | None = None,
) -> datetime | None:
    """
    When to try a failed delivery again.

    Args:
        tries_used: Failed tries since it was put into the queue, this one included; 1 or more.
        failed_at: Time of the failure, UTC.
        steps_seconds: Waits after the first failure, the second, and so on.
        chance: A random number from 0 to 1: the wait becomes up to a fifth longer, so that what failed together
            does not come back together.
        asked_wait_seconds: Wait the subscriber asked for (`Retry-After`), None for none; it makes the wait longer,
            never shorter, and is honoured up to one day.

    Returns:
        Time of the next try, UTC, not before *failed_at*; None when the steps are used up.

    Raises:
        ValueError: *tries_used* is below 1.
    """
    if tries_used < 1:
        raise ValueError("a failed try counts")
    if tries_used > len(steps_seconds):
        return None
    wait = steps_seconds[tries_used - 1] * (1 + JITTER * chance)
    asked = min(asked_wait_seconds or 0.0, LONGEST_ASKED_WAIT_SECONDS)
    return failed_at + timedelta(seconds=max(wait, asked))
