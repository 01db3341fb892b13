"""
When a failed delivery is attempted again.

The same rule is in SQL, without jitter: `release_expired` of `store/delivery_transitions.sql` releases many deliveries
of workers that are gone in one statement. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

JITTER = 0.2
LONGEST_ASKED_WAIT_SECONDS = 86_400.0


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """
    How failed attempts are repeated.

    Attributes:
        steps_seconds: Waits after the first failure, the second, and so on.
        settle_seconds: How long a request whose connection was cut may still be carried out.
        probe_seconds: Wait before the first probe of a subscriber that was found away.
    """

    steps_seconds: Sequence[float]
    settle_seconds: float
    probe_seconds: float


def next_attempt_utc(
    attempts_used: int,
    failed_utc: datetime,
    steps_seconds: Sequence[float],
    *,
    chance: float,
    asked_wait_seconds: float | None = None,
) -> datetime | None:
    """
    When to attempt a failed delivery again.

    Args:
        attempts_used: Failed attempts since it was put into the queue, this one included; 1 or more.
        failed_utc: Time of the failure.
        steps_seconds: Waits after the first failure, the second, and so on.
        chance: A random number from 0 to 1: the wait becomes up to a fifth longer, so that deliveries that failed
            together are not attempted together again.
        asked_wait_seconds: Wait the subscriber asked for (`Retry-After`), None for none; it makes the wait longer,
            never shorter, and is honoured up to one day.

    Returns:
        Time of the next attempt, UTC, not before *failed_utc*; None when the steps are used up.

    Raises:
        ValueError: *attempts_used* is below 1.
    """
    if attempts_used < 1:
        raise ValueError("a failed attempt counts")
    if attempts_used > len(steps_seconds):
        return None
    wait = steps_seconds[attempts_used - 1] * (1 + JITTER * chance)
    asked = min(asked_wait_seconds or 0.0, LONGEST_ASKED_WAIT_SECONDS)
    return failed_utc + timedelta(seconds=max(wait, asked))
