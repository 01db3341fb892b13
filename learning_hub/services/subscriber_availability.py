"""Availability of a subscriber for requests: whether it is paused, and the errors if it is away or refuses."""

from __future__ import annotations

from learning_hub.connectors.outcomes import Failure, Postponed, Refused
from learning_hub.model.clock import written
from learning_hub.model.errors import Conflict
from learning_hub.store import pauses
from learning_hub.store.database import Database


async def need_not_paused(database: Database, subscriber_id: str, *, then: str) -> None:
    """
    Check that the subscriber is not paused.

    Raises:
        Conflict: The subscriber is paused; *then* says what to do once it is back.
    """
    pause = await pauses.find(database, subscriber_id)
    if pause is not None:
        raise subscriber_paused(subscriber_id, written(pause.since_utc), pause.message, then=then)


def subscriber_paused(subscriber_id: str, since: str, message: str, *, then: str) -> Conflict:
    """The error for a request to a paused subscriber; *then* says what to do once it is back."""
    return Conflict(
        f"{subscriber_id} is paused since {since}, so it is not asked either. {message} Fix that, or wait until it is "
        f"back; then {then}.",
        code="subscriber_paused",
    )


def no_answer(outcome: Failure, *, then: str = "") -> Conflict:
    """The error if a subscriber was asked and is away or refused; *then* is a sentence about asking again."""
    if isinstance(outcome, Refused):
        return Conflict(outcome.message, code="subscriber_refused")
    message, wait = outcome.message, None
    if isinstance(outcome, Postponed):
        message, wait = outcome.message_with_wait, outcome.retry_after_seconds
    return Conflict(f"{message} {then}".strip(), code="subscriber_away", retry_after_seconds=wait)
