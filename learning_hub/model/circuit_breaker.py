"""
Pauses: nothing is sent to a subscriber that is away, asks to wait, or refuses the credentials.

A pause holds for the whole subscriber and for every worker. While it lasts one delivery at a time is sent as a probe;
a pause for refused credentials has no probes, so that no account is locked out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.failure import FailureClass
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS

LONGEST_PROBE_SECONDS = 60.0


class PauseReason(msgspec.Struct, frozen=True, kw_only=True):
    """
    A failure that concerns the subscriber as a whole.

    *first_probe_seconds* is the wait before the first probe, None where none may be sent; *asked_wait_seconds* the wait
    that the subscriber asked for.
    """

    code: str
    failure_class: FailureClass
    message: str
    first_probe_seconds: float | None
    asked_wait_seconds: float | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause as it stands. *probe_seconds* is the wait before the next probe; its time is None where none is sent."""

    subscriber_id: str
    code: str
    failure_class: FailureClass
    message: str
    since_utc: datetime
    probe_seconds: float
    next_probe_utc: datetime | None


class ShownPause(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Why nothing is sent to a subscriber for now; what is due for it waits and uses up no try."""

    since_utc: datetime
    code: Annotated[str, Meta(description="Why; docs/reference/errors.md lists all.")]
    message: Annotated[str, Meta(description="In words for staff.")]
    next_probe_utc: Annotated[datetime, Meta(description="When one is tried; null: not before it is mended.")] | None


def shown(pause: Pause) -> ShownPause:
    """The pause as a subscriber shows it."""
    return ShownPause(
        since_utc=pause.since_utc, code=pause.code, message=pause.message, next_probe_utc=pause.next_probe_utc
    )


def paused(subscriber_id: str, there: Pause | None, reason: PauseReason, *, at: datetime, is_probe: bool) -> Pause:
    """
    The pause after a failure.

    Args:
        subscriber_id: Of the subscriber that failed.
        there: The pause until then; None for none.
        reason: What the failure says.
        at: When it came, UTC.
        is_probe: Whether the delivery was sent as a probe of that pause: each doubles the wait before the next one, up
            to a minute. What else was under way when the pause began tells nothing new, but that the subscriber asks
            for a longer wait, or refuses the credentials.
    """
    first = reason.first_probe_seconds
    if there is not None and there.next_probe_utc is None and first is not None:
        return there
    since = there.since_utc if there else at
    if first is None:
        return _of(subscriber_id, reason, since, there.probe_seconds if there else 0.0, None)
    asked = min(reason.asked_wait_seconds or 0.0, LONGEST_ASKED_WAIT_SECONDS)
    if there is None or there.next_probe_utc is None:
        return _of(subscriber_id, reason, since, first, at + timedelta(seconds=max(first, asked)))
    if is_probe:
        wait = min(2 * there.probe_seconds, max(LONGEST_PROBE_SECONDS, first))
        return _of(subscriber_id, reason, since, wait, at + timedelta(seconds=max(wait, asked)))
    return msgspec.structs.replace(there, next_probe_utc=max(there.next_probe_utc, at + timedelta(seconds=asked)))


def _of(
    subscriber_id: str, reason: PauseReason, since: datetime, probe_seconds: float, next_probe_utc: datetime | None
) -> Pause:
    return Pause(
        subscriber_id=subscriber_id,
        code=reason.code,
        failure_class=reason.failure_class,
        message=reason.message,
        since_utc=since,
        probe_seconds=probe_seconds,
        next_probe_utc=next_probe_utc,
    )
