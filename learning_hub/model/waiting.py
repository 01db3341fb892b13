"""The reason why a delivery is `waiting`, as a sentence for staff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from learning_hub.model.clock import written
from learning_hub.model.cron import is_cron

# How much is counted of the queues of all subscribers together, so that the count takes milliseconds however long the
# queues are, and however many subscribers a page has.
MOST_COUNTED = 10_000


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of a waiting delivery.

    Attributes:
        is_started: The subscription is started.
        is_free: The delivery is sent without a run, by itself or because a run or a person released it.
        is_held: It is still marked as one that waits for a run.
        not_before_utc: The time before which it is not sent, if that is in the future.
        older_delivery_id: The oldest delivery of its source record that has to be finished first; *older_state* is its
            state.
        before: How many deliveries to the subscriber are due before it; None if they are more than *most_counted*.
    """

    subscription_id: str
    is_started: bool
    is_archived: bool
    schedule: str
    time_zone: str
    is_free: bool
    is_held: bool
    not_before_utc: datetime | None
    older_delivery_id: str | None
    older_state: str | None
    before: int | None
    most_counted: int


def waiting_message(waiting: Waiting, next_runs: Mapping[str, datetime | None]) -> str:
    """
    What the delivery waits for, apart from a pause of its subscriber.

    Args:
        waiting: The delivery.
        next_runs: By subscription: the next time of its cron expression.
    """
    if waiting.is_archived:
        return "The subscription is archived: the delivery is about to be discarded."
    if not waiting.is_free:
        return _waits_for_run(waiting, next_runs)
    if waiting.is_held:
        return "The subscription was started: the delivery is about to be put into the queue."
    if waiting.older_delivery_id is not None:
        return (
            "The delivery waits for an older one of its source record, "
            f"{waiting.older_delivery_id}, which is {waiting.older_state}."
        )
    if waiting.not_before_utc is not None:
        return f"The delivery is sent at {written(waiting.not_before_utc)} or later."
    return f"The delivery waits for its turn: {_number(waiting)} before it at the subscriber."


def _waits_for_run(waiting: Waiting, next_runs: Mapping[str, datetime | None]) -> str:
    if not waiting.is_started:
        return "The subscription is stopped: the delivery waits until somebody starts it or runs it once."
    if not is_cron(waiting.schedule):
        return "The subscription is manual: the delivery waits until somebody runs it."
    if next_run := next_runs.get(waiting.subscription_id):
        return f"The delivery waits for the subscription's next scheduled time, {written(next_run)}."
    return "The delivery waits for the subscription's next scheduled time."


def _number(waiting: Waiting) -> str:
    """How many deliveries are before this one, with the verb."""
    if waiting.before is None:
        return f"more than {waiting.most_counted:,} deliveries are"
    if waiting.before <= 1:
        return "about 1 delivery is" if waiting.before else "no delivery is"
    return f"about {waiting.before:,} deliveries are"
