"""From the outcome that a connector reports to the completion of the delivery."""

from __future__ import annotations

from datetime import datetime

import msgspec

from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused, Unknown
from learning_hub.model.circuit_breaker import subscriber_failure
from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.model.errors import TemplateError
from learning_hub.model.failure import CAUSES, FailureClass, class_of
from learning_hub.model.retry import RetryPolicy, next_attempt_utc


def decide(
    outcome: Outcome, claimed: ClaimedDelivery, policy: RetryPolicy, *, at: datetime, chance: float
) -> Completion:
    """
    The completion of a delivery after *outcome*.

    Args:
        outcome: What the connector reports.
        claimed: The delivery.
        policy: How failed attempts are repeated.
        at: When the attempt ended, UTC.
        chance: A random number from 0 to 1, which spreads the next attempts.
    """
    if isinstance(outcome, Accepted):
        return _delivered(outcome, claimed)
    if isinstance(outcome, Refused):
        return _refused(outcome, claimed, policy)
    if isinstance(outcome, Postponed):
        return _postponed(outcome, claimed, policy, at=at, chance=chance)
    return _unknown(outcome, claimed, policy, at=at, chance=chance)


def _delivered(outcome: Accepted, claimed: ClaimedDelivery) -> Completion:
    return Completion(
        state="delivered",
        attempts_used=claimed.attempts_used,
        record_id=outcome.record_id,
        is_confirmed=outcome.is_confirmed,
        message=outcome.note,
    )


def _refused(outcome: Refused, claimed: ClaimedDelivery, policy: RetryPolicy) -> Completion:
    completion = parked(outcome.code, outcome.message, claimed, failure_class=outcome.failure_class)
    return msgspec.structs.replace(
        completion,
        subscriber_failure=subscriber_failure(
            outcome.code, outcome.message, is_away=False, first_probe_seconds=policy.probe_seconds
        ),
        stops_subscription=outcome.stops_subscription,
    )


def _postponed(
    outcome: Postponed, claimed: ClaimedDelivery, policy: RetryPolicy, *, at: datetime, chance: float
) -> Completion:
    # After a 500 the request is over; a gateway that gave up says nothing about the request behind it.
    may_still_run = outcome.in_doubt and outcome.code != "subscriber_error"
    completion = retried(
        outcome.code,
        outcome.message,
        claimed,
        policy,
        at=at,
        chance=chance,
        failure_class=outcome.failure_class,
        asked_wait_seconds=outcome.retry_after_seconds,
        in_doubt=outcome.in_doubt,
        doubt_seconds=policy.settle_seconds if may_still_run else None,
    )
    failure = subscriber_failure(
        outcome.code,
        outcome.message,
        is_away=outcome.subscriber_is_away,
        first_probe_seconds=policy.probe_seconds,
        asked_wait_seconds=outcome.retry_after_seconds,
    )
    return msgspec.structs.replace(completion, subscriber_failure=failure)


def _unknown(
    outcome: Unknown, claimed: ClaimedDelivery, policy: RetryPolicy, *, at: datetime, chance: float
) -> Completion:
    if outcome.is_final:
        completion = parked("outcome_unknown", outcome.message, claimed, in_doubt=True)
    else:
        completion = retried(
            "outcome_unknown",
            f"{outcome.message} Whether it was carried out is not known; the hub asks before it sends again.",
            claimed,
            policy,
            at=at,
            chance=chance,
            in_doubt=True,
            doubt_seconds=policy.settle_seconds,
        )
    failure = subscriber_failure(
        outcome.code,
        outcome.about_subscriber or outcome.message,
        is_away=outcome.subscriber_is_away,
        first_probe_seconds=policy.probe_seconds,
        asked_wait_seconds=outcome.retry_after_seconds,
    )
    return msgspec.structs.replace(completion, subscriber_failure=failure, is_final=outcome.is_final)


def retried(
    code: str,
    message: str,
    claimed: ClaimedDelivery,
    policy: RetryPolicy,
    *,
    at: datetime,
    chance: float,
    failure_class: FailureClass | None = None,
    asked_wait_seconds: float | None = None,
    in_doubt: bool = False,
    doubt_seconds: float | None = None,
) -> Completion:
    """The delivery is attempted again by the retry schedule; it is parked when the schedule is used up."""
    attempts_used = claimed.attempts_used + 1
    due_utc = next_attempt_utc(
        attempts_used, at, policy.steps_seconds, chance=chance, asked_wait_seconds=asked_wait_seconds
    )
    if due_utc is None:
        message = f"All {attempts_used} attempts have failed. The last one: {message}"
        code = "outcome_unknown" if code == "outcome_unknown" else "retries_used_up"
    return Completion(
        state="parked" if due_utc is None else "retrying",
        code=code,
        failure_class=failure_class or class_of(code),
        message=message,
        due_utc=due_utc,
        attempts_used=attempts_used,
        in_doubt=in_doubt,
        doubt_seconds=doubt_seconds,
    )


def parked(
    code: str,
    message: str,
    claimed: ClaimedDelivery,
    *,
    failure_class: FailureClass | None = None,
    in_doubt: bool = False,
) -> Completion:
    """The delivery needs a person."""
    return Completion(
        state="parked",
        code=code,
        failure_class=failure_class or class_of(code),
        message=message,
        attempts_used=claimed.attempts_used,
        in_doubt=in_doubt,
    )


def parked_for_template(error: TemplateError, claimed: ClaimedDelivery) -> Completion:
    """The template gives no payload; the message names the path."""
    return parked("template_error", f"{error.message} (at {error.place})", claimed)


def skipped(code: str, message: str) -> Completion:
    """The subscription has no template for the event, or ignores its category on purpose."""
    return Completion(state="skipped", code=code, failure_class=CAUSES[code].failure_class, message=message)


def moved_to_end(claimed: ClaimedDelivery, *, at: datetime) -> Completion:
    """The delivery waited too long for others of its contact and panel, and moves to the end of the queue."""
    return Completion(
        state="retrying",
        code="timed_out",
        failure_class=class_of("timed_out"),
        message="Others for the same contact and panel are being sent; nothing was sent yet.",
        due_utc=at,
        attempts_used=claimed.attempts_used,
    )
