"""
The circuit breaker of a subscriber: when it opens, how probes back off, and what closes it.

A subscriber is *paused* while its circuit breaker is open: no worker sends it anything but probes. All decisions are in
this module; `store.pauses` keeps the state in the table subscriber_pause, which all workers obey.

Opens: an attempt fails in a way that concerns the subscriber as a whole (`subscriber_failure`): the subscriber cannot
be reached or does not answer, asks to wait, or refuses the credentials.

Half-open: one delivery at a time is sent as a probe (`claim` in delivery_transitions.sql selects it). The first probe
is due after a configured wait, or later if the subscriber asks for a longer wait; each failed probe doubles the wait,
up to a minute (`after_failure`). A breaker that was opened by refused credentials sends no probes, so that no account
is locked out. Three probes in a row whose new token is denied count as refused credentials.

Closes:
    - with the first delivery that succeeds (`complete` in delivery_transitions.sql), unless credentials were refused;
    - with changed settings, unless credentials were refused, and with changed credentials or a successful check in any
    case (`store.pauses.lift`);
    - when a probe is due and nothing is left to send (`store.pauses.end_idle`); the next delivery then shows whether
    the subscriber is back.

Deliveries that failed while it was open are then due at once (`store.pauses.pull_forward`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.failure import FailureClass, class_of
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS

LONGEST_PROBE_SECONDS = 60.0
# So many probes in a row whose new token was denied are refused credentials.
MOST_DENIED_PROBES = 3
_DENIED = "token_denied"
_REFUSED = "credentials_refused"


class SubscriberFailure(msgspec.Struct, frozen=True, kw_only=True):
    """
    A failure that concerns the subscriber as a whole, and so opens its circuit breaker.

    *first_probe_seconds* is the wait before the first probe, None if no probe may be sent; *asked_wait_seconds* is the
    wait that the subscriber asked for.
    """

    code: str
    failure_class: FailureClass
    message: str
    first_probe_seconds: float | None
    asked_wait_seconds: float | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """
    An open circuit breaker.

    *probe_seconds* is the wait before the next probe; *next_probe_utc* is None if no probe is sent. *denied_probes* is
    how many probes in a row, up to the last one, failed because the subscriber denied a new token.
    """

    subscriber_id: str
    code: str
    failure_class: FailureClass
    message: str
    since_utc: datetime
    probe_seconds: float
    next_probe_utc: datetime | None
    denied_probes: int = 0

    @property
    def sends_probes(self) -> bool:
        return self.next_probe_utc is not None


class BreakerChange(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effect of a failure on the circuit breaker.

    *pause* is the breaker afterwards, None if it stays closed. *is_opened*: the failure opened it, or changed its
    reason to refused credentials. *uses_attempt*: the failed attempt counts for its delivery, because it opened the
    breaker or was its probe; other deliveries that were being sent at the same time only wait.
    """

    pause: Pause | None
    is_opened: bool = False
    uses_attempt: bool = False


class ShownPause(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Why nothing is sent to a subscriber at present; due deliveries wait for it and use up no attempt."""

    since_utc: datetime
    code: Annotated[str, Meta(description="Why; docs/reference/errors.md lists all.")]
    message: Annotated[str, Meta(description="The reason as a sentence for staff.")]
    next_probe_utc: (
        Annotated[datetime, Meta(description="When the next probe is sent; null: none until the cause is fixed.")]
        | None
    )


def shown(pause: Pause) -> ShownPause:
    """The pause as it is shown with the subscriber."""
    return ShownPause(
        since_utc=pause.since_utc, code=pause.code, message=pause.message, next_probe_utc=pause.next_probe_utc
    )


def subscriber_failure(
    code: str,
    message: str,
    *,
    is_away: bool,
    first_probe_seconds: float,
    asked_wait_seconds: float | None = None,
) -> SubscriberFailure | None:
    """
    The failure that opens the circuit breaker; None if it concerns only its own delivery.

    Args:
        code: The code of the failed attempt. `credentials_refused` and `rate_limited` always concern the whole
            subscriber.
        message: A sentence about the subscriber.
        is_away: Whether the attempt showed that the subscriber is down or cannot be reached.
        first_probe_seconds: The configured wait before the first probe.
        asked_wait_seconds: The wait that the subscriber asked for (`Retry-After`), None for none.
    """
    are_credentials_refused = code == _REFUSED
    if not (is_away or are_credentials_refused or code == "rate_limited"):
        return None
    return SubscriberFailure(
        code=code,
        failure_class=class_of(code),
        message=message,
        first_probe_seconds=None if are_credentials_refused else first_probe_seconds,
        asked_wait_seconds=asked_wait_seconds,
    )


def after_failure(
    subscriber_id: str,
    pause: Pause | None,
    failure: SubscriberFailure,
    *,
    at: datetime,
    is_probe: bool,
    are_credentials_fixed: bool = False,
) -> BreakerChange:
    """
    The circuit breaker after an attempt failed.

    Args:
        subscriber_id: The subscriber of the attempt.
        pause: The breaker before the failure; None while it is closed.
        failure: The failure.
        at: The time of the failure, UTC.
        is_probe: Whether the delivery was sent as a probe.
        are_credentials_fixed: Whether the credentials were changed, or found valid, after the attempt began. Their
            refusal then means nothing.
    """
    if is_probe and _is_denied_too_often(pause, failure):
        failure = _refused(failure)
    if failure.first_probe_seconds is None:
        if are_credentials_fixed:
            return BreakerChange(pause=pause)
        after = _opened(
            subscriber_id, failure, pause.since_utc if pause else at, pause.probe_seconds if pause else 0.0, None
        )
        return BreakerChange(pause=after, is_opened=pause is None or pause.sends_probes)
    after = _with_probes(subscriber_id, pause, failure, failure.first_probe_seconds, at=at, is_probe=is_probe)
    return BreakerChange(pause=after, is_opened=pause is None, uses_attempt=pause is None or is_probe)


def _is_denied_too_often(pause: Pause | None, failure: SubscriberFailure) -> bool:
    """Whether the probe that failed so is the last of too many in a row."""
    return pause is not None and failure.code == _DENIED and pause.denied_probes + 1 >= MOST_DENIED_PROBES


def _refused(failure: SubscriberFailure) -> SubscriberFailure:
    return SubscriberFailure(
        code=_REFUSED,
        failure_class=class_of(_REFUSED),
        message=f"{failure.message} This was so for {MOST_DENIED_PROBES} probes in a row. The hub sends nothing more "
        "until the credentials are changed or a check succeeds, so that the account is not locked out.",
        first_probe_seconds=None,
    )


def _with_probes(
    subscriber_id: str,
    pause: Pause | None,
    failure: SubscriberFailure,
    first_probe_seconds: float,
    *,
    at: datetime,
    is_probe: bool,
) -> Pause:
    asked = min(failure.asked_wait_seconds or 0.0, LONGEST_ASKED_WAIT_SECONDS)
    if pause is None:
        next_probe_utc = at + timedelta(seconds=max(first_probe_seconds, asked))
        return _opened(subscriber_id, failure, at, first_probe_seconds, next_probe_utc)
    if pause.next_probe_utc is None:
        return pause
    if is_probe:
        wait = min(2 * pause.probe_seconds, max(LONGEST_PROBE_SECONDS, first_probe_seconds))
        after = _opened(subscriber_id, failure, pause.since_utc, wait, at + timedelta(seconds=max(wait, asked)))
        denied = pause.denied_probes + 1 if failure.code == _DENIED else 0
        return msgspec.structs.replace(after, denied_probes=denied)
    # A delivery that was being sent when the breaker opened adds nothing new, except the wait that the subscriber asks
    # for.
    return msgspec.structs.replace(pause, next_probe_utc=max(pause.next_probe_utc, at + timedelta(seconds=asked)))


def _opened(
    subscriber_id: str,
    failure: SubscriberFailure,
    since_utc: datetime,
    probe_seconds: float,
    next_probe_utc: datetime | None,
) -> Pause:
    return Pause(
        subscriber_id=subscriber_id,
        code=failure.code,
        failure_class=failure.failure_class,
        message=failure.message,
        since_utc=since_utc,
        probe_seconds=probe_seconds,
        next_probe_utc=next_probe_utc,
    )
