"""A delivery, its attempts, and what settles it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.circuit_breaker import PauseReason
from learning_hub.model.event import Event
from learning_hub.model.failure import FailureClass
from learning_hub.model.ids import DeliveryKey

State = Literal["waiting", "sending", "delivered", "retrying", "parked", "skipped", "superseded", "discarded"]
Action = Literal["send", "remove"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The duty to bring one event to one subscription, as it stands."""

    delivery_id: str
    event_id: str
    subscription_id: str
    subscriber_id: str
    program_id: str
    action: Action
    state: State
    code: Annotated[str, Meta(description="Why it is where it is; docs/reference/errors.md lists all.")] | None
    class_: Annotated[FailureClass, Meta(description="Whose move it is.")] | None = msgspec.field(name="Class")
    message: Annotated[str, Meta(description="In words for staff.")] | None
    advice: Annotated[str, Meta(description="What a person can do.")] | None
    attempts: Annotated[int, Meta(description="Tries so far.")]
    created_utc: datetime
    next_try_utc: (
        Annotated[
            datetime,
            Meta(description="Null while it waits for a run, or for the subscriber's credentials to be mended."),
        ]
        | None
    )
    delivered_utc: datetime | None
    confirmed_utc: Annotated[datetime, Meta(description="When it was read back at the subscriber.")] | None
    subscriber_record_id: str | None

    @property
    def standing(self) -> Standing:
        return Standing(self.subscription_id, self.state, self.code)


class Standing(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a delivery stands: what the audit log keeps of each one when many are changed together."""

    subscription_id: str
    state: State
    code: str | None


class Requeued(msgspec.Struct, frozen=True):
    """A delivery that was put back: where it stood *before*, and what it is *now*."""

    before: Standing
    now: Delivery


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One try: what was sent and what came back, without secrets."""

    number: int
    started_utc: datetime
    ended_utc: datetime | None
    code: Annotated[str, Meta(description="Null when it succeeded or is under way.")] | None
    message: str | None
    request: Annotated[Raw, Meta(description="Method, Url, Headers, Body.")] | None
    response: Annotated[Raw, Meta(description="Status, Headers, Body.")] | None


class DeliveryDetail(Delivery, frozen=True, kw_only=True, rename="pascal"):
    """A delivery with its event, the payload of its last try, and every attempt."""

    event: Event
    payload: Annotated[Raw, Meta(description="What the template gave at the last try.")] | None
    attempt_log: list[Attempt]


# When something was last changed, and what else makes it another: archived since, or checked.
Version = tuple[datetime, datetime | None]


class ClaimSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a delivery is about, as of the moment it was claimed.

    *known_participant_id* is who the participant is at the subscriber, None where that is not remembered.
    """

    event: Event
    program_name: str
    subscription_version: Version
    subscriber_version: Version
    known_participant_id: str | None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A delivery leased to a worker, with what is needed to carry it out.

    *lease_id* is what the outcome must name. *record_id* is the identity an earlier delivery of the source record
    got at the subscriber; *tried_before* says that some delivery of the source record was tried. *connector* is the
    kind of the subscriber; *is_probe* says that the subscriber is paused, and this one finds out whether it is back;
    *is_early* that it was not due yet, so that a failure uses up no try. *about* is None where its event is missing.
    """

    key: DeliveryKey
    lease_id: UUID
    attempt_number: int
    started_utc: datetime
    tries_used: int
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
    about: ClaimSnapshot | None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a try ended: the delivery's next state and what is kept with the attempt.

    *in_doubt* says that it failed and may have been carried out all the same; *doubt_seconds* for how long it may still
    be, from now on, None where what was to happen has happened. *is_confirmed*: the record was read back as it was
    sent. *pause*: the failure concerns the subscriber as a whole; *is_final*: all the same it stays what it is here.
    *stops_subscription*: the subscriber wants nothing more from this subscription.
    """

    state: Literal["delivered", "waiting", "retrying", "parked", "skipped", "discarded"]
    code: str | None = None
    failure_class: FailureClass | None = None
    message: str | None = None
    due_utc: datetime | None = None
    tries_used: int = 0
    record_id: str | None = None
    in_doubt: bool = False
    doubt_seconds: float | None = None
    is_confirmed: bool = False
    pause: PauseReason | None = None
    is_final: bool = False
    stops_subscription: bool = False
    payload: Any = None
    request: Any = None
    response: Any = None

    def held_back(self, claimed: Claimed) -> Completion:
        """It waits while its subscriber is paused; that uses up no try. The attempt keeps what happened."""
        return msgspec.structs.replace(self, state="waiting", tries_used=claimed.tries_used, due_utc=None)
