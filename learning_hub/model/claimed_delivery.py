"""A delivery that a worker has claimed, and how an attempt at it completes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from learning_hub.model.circuit_breaker import BreakerChange, SubscriberFailure
from learning_hub.model.delivery import Action
from learning_hub.model.event import Event
from learning_hub.model.failure import FailureClass
from learning_hub.model.feed import Position
from learning_hub.model.ids import DeliveryKey

# The times that identify the version of a row: when it was last changed, and when it was archived or its credentials
# were checked.
Version = tuple[datetime, datetime | None]


class ClaimSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    The data that the database held about a delivery when it was claimed.

    *known_participant_id* is the participant's id at the subscriber, None if no match or look-up is stored.
    """

    event: Event
    feed_position: Position
    program_name: str
    subscription_version: Version
    subscriber_version: Version
    known_participant_id: str | None


class ClaimedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """
    A delivery leased to a worker, with the data that an attempt needs.

    Attributes:
        lease_id: The lease, which the completion must name.
        attempts_used: Failed attempts that counted towards the retry schedule so far.
        connector: The kind of the subscriber.
        is_probe: The subscriber is paused, and this delivery shows whether it is back.
        is_early: The delivery was claimed before it was due, so that a failure uses up no attempt.
        record_id: The id at the subscriber that an earlier delivery of the source record got, None for none.
        tried_before: Some delivery of the source record was attempted before.
        snapshot: None if the event is missing.
    """

    key: DeliveryKey
    lease_id: UUID
    attempt_number: int
    started_utc: datetime
    attempts_used: int
    action: Action
    subscription_id: str
    subscriber_id: str
    connector: str
    is_probe: bool
    is_early: bool
    publisher_system_id: str
    publisher_event_id: str
    event_uuid: UUID
    record_id: str | None
    tried_before: bool
    snapshot: ClaimSnapshot | None

    @property
    def feed_position(self) -> Position:
        """Of the event; a missing event is before all others."""
        return Position(0, 0, 0) if self.snapshot is None else self.snapshot.feed_position


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """
    How an attempt ended: the delivery's next state, and what is stored with the attempt.

    Attributes:
        in_doubt: The attempt failed, and the subscriber may nevertheless have carried it out.
        doubt_seconds: For how many seconds from now the subscriber may still carry it out; None if it no longer can.
        is_confirmed: The record was read back as it was sent.
        subscriber_failure: The failure concerns the subscriber as a whole and opens its circuit breaker.
        is_final: The state holds even while the subscriber is paused.
        stops_subscription: The subscriber refuses all further events of this subscription.
    """

    state: Literal["delivered", "waiting", "retrying", "parked", "skipped", "discarded"]
    code: str | None = None
    failure_class: FailureClass | None = None
    message: str | None = None
    due_utc: datetime | None = None
    attempts_used: int = 0
    record_id: str | None = None
    in_doubt: bool = False
    doubt_seconds: float | None = None
    is_confirmed: bool = False
    subscriber_failure: SubscriberFailure | None = None
    is_final: bool = False
    stops_subscription: bool = False
    payload: Any = None
    request: Any = None
    response: Any = None

    def after_breaker(self, change: BreakerChange, claimed: ClaimedDelivery) -> Completion:
        """
        The completion after the failure has changed the circuit breaker.

        The delivery waits for the subscriber and uses up no attempt, unless the failure counts or the state is final.
        """
        if self.is_final or (change.uses_attempt and not claimed.is_early):
            return self
        return msgspec.structs.replace(self, state="waiting", attempts_used=claimed.attempts_used, due_utc=None)
