"""From what a connector answered to what becomes of the delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from learning_hub.connectors.base import (
    Accepted,
    Outcome,
    Postponed,
    Refused,
    Unknown,
)
from learning_hub.model.circuit_breaker import PauseReason
from learning_hub.model.delivery import Claimed, Completion
from learning_hub.model.errors import TemplateError
from learning_hub.model.failure import FailureClass, class_of
from learning_hub.model.retry import next_try


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """
    How failed tries are repeated.

    *settle_seconds*: how long a request that was cut may still be carried out. *probe_seconds*: until a subscriber that
    was found away is tried for the first time.
    """

    steps_seconds: Sequence[float]
    settle_seconds: float
    probe_seconds: float


def decide(outcome: Outcome, claimed: Claimed, retries: Retries, *, at: datetime, chance: float) -> Completion:
    """What becomes of a delivery after *outcome* at the time *at*; *chance* from 0 to 1 spreads the next tries."""
    if isinstance(outcome, Accepted):
        return Completion(
            state="delivered",
            tries_used=claimed.tries_used,
            record_id=outcome.record_id,
            is_confirmed=outcome.is_confirmed,
            message=outcome.note,
        )
    if isinstance(outcome, Refused):
        return _refused(outcome, claimed)
    if isinstance(outcome, Postponed):
        return _postponed(outcome, claimed, retries, at=at, chance=chance)
    return _unknown(outcome, claimed, retries, at=at, chance=chance)


def _refused(outcome: Refused, claimed: Claimed) -> Completion:
    completion = parked(outcome.code, outcome.message, claimed, failure_class=outcome.failure_class)
    if outcome.code == "credentials_refused":
        reason = PauseReason(
            code=outcome.code,
            failure_class=outcome.failure_class,
            message=outcome.message,
            first_probe_seconds=None,
        )
        return msgspec.structs.replace(completion, pause=reason)
    return msgspec.structs.replace(completion, stops_subscription=outcome.stops_subscription)


def _postponed(outcome: Postponed, claimed: Claimed, retries: Retries, *, at: datetime, chance: float) -> Completion:
    # A gateway that gave up tells nothing of the request behind it, which may still be carried out.
    may_go_on = outcome.in_doubt and outcome.code != "subscriber_error"
    completion = again(
        outcome.code,
        outcome.message,
        claimed,
        retries,
        at=at,
        chance=chance,
        failure_class=outcome.failure_class,
        asked_wait_seconds=outcome.retry_after_seconds,
        in_doubt=outcome.in_doubt,
        doubt_seconds=retries.settle_seconds if may_go_on else None,
    )
    if not outcome.subscriber_is_away and outcome.code != "rate_limited":
        return completion
    return msgspec.structs.replace(
        completion, pause=_away(outcome.code, outcome.message, retries, outcome.retry_after_seconds)
    )


def _unknown(outcome: Unknown, claimed: Claimed, retries: Retries, *, at: datetime, chance: float) -> Completion:
    if outcome.is_final:
        completion = msgspec.structs.replace(
            parked("outcome_unknown", outcome.message, claimed, in_doubt=True), is_final=True
        )
    else:
        completion = again(
            "outcome_unknown",
            f"{outcome.message} Whether it was carried out is not known; the hub asks before it sends again.",
            claimed,
            retries,
            at=at,
            chance=chance,
            in_doubt=True,
            doubt_seconds=retries.settle_seconds,
        )
    if not outcome.subscriber_is_away:
        return completion
    about = outcome.about_subscriber or outcome.message
    return msgspec.structs.replace(completion, pause=_away(outcome.code, about, retries))


def _away(code: str, message: str, retries: Retries, asked_wait_seconds: float | None = None) -> PauseReason:
    return PauseReason(
        code=code,
        failure_class=class_of(code),
        message=message,
        first_probe_seconds=retries.probe_seconds,
        asked_wait_seconds=asked_wait_seconds,
    )


def parked(
    code: str, message: str, claimed: Claimed, *, failure_class: FailureClass | None = None, in_doubt: bool = False
) -> Completion:
    """It needs a person."""
    return Completion(
        state="parked",
        code=code,
        failure_class=failure_class or class_of(code),
        message=message,
        tries_used=claimed.tries_used,
        in_doubt=in_doubt,
    )


def stepped_aside(claimed: Claimed, *, at: datetime) -> Completion:
    """It waited in the hub's own line for so long that it goes to the end of it; that uses up no try."""
    return Completion(
        state="retrying",
        code="timed_out",
        failure_class=class_of("timed_out"),
        message="Others for the same contact and panel are being sent; nothing was sent yet.",
        due_utc=at,
        tries_used=claimed.tries_used,
    )


def parked_for_template(error: TemplateError, claimed: Claimed) -> Completion:
    """The template gives no payload; the message names the place."""
    return parked("template_error", f"{error.message} (at {error.place})", claimed)


def again(
    code: str,
    message: str,
    claimed: Claimed,
    retries: Retries,
    *,
    at: datetime,
    chance: float,
    failure_class: FailureClass | None = None,
    asked_wait_seconds: float | None = None,
    in_doubt: bool = False,
    doubt_seconds: float | None = None,
) -> Completion:
    """It is tried again by the schedule; parked when that is used up."""
    tries_used = claimed.tries_used + 1
    due_utc = next_try(tries_used, at, retries.steps_seconds, chance=chance, asked_wait_seconds=asked_wait_seconds)
    if due_utc is None:
        last_word = f"All {tries_used} tries have failed. The last time: {message}"
        used_up = "outcome_unknown" if code == "outcome_unknown" else "retries_used_up"
        return Completion(
            state="parked",
            code=used_up,
            failure_class=failure_class or class_of(used_up),
            message=last_word,
            tries_used=tries_used,
            in_doubt=in_doubt,
            doubt_seconds=doubt_seconds,
        )
    return Completion(
        state="retrying",
        code=code,
        failure_class=failure_class or class_of(code),
        message=message,
        due_utc=due_utc,
        tries_used=tries_used,
        in_doubt=in_doubt,
        doubt_seconds=doubt_seconds,
    )
