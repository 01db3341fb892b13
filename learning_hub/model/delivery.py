"""A delivery and its attempts, as users read them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.event import Event
from learning_hub.model.failure import FailureClass

State = Literal["waiting", "sending", "delivered", "retrying", "parked", "skipped", "superseded", "discarded"]
Action = Literal["send", "remove"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One event on its way to one subscription, in its present state."""

    delivery_id: str
    event_id: str
    subscription_id: str
    subscriber_id: str
    program_id: str
    action: Action
    state: State
    code: Annotated[str, Meta(description="The reason of its state; docs/reference/errors.md lists all.")] | None
    class_: Annotated[FailureClass, Meta(description="Who is responsible.")] | None = msgspec.field(name="Class")
    message: Annotated[str, Meta(description="The reason as a sentence for staff.")] | None
    advice: Annotated[str, Meta(description="What a person can do.")] | None
    attempts: Annotated[int, Meta(description="Attempts so far.")]
    created_utc: datetime
    next_try_utc: (
        Annotated[
            datetime,
            Meta(description="Null while it waits for a run, or for valid credentials of the subscriber."),
        ]
        | None
    )
    delivered_utc: datetime | None
    confirmed_utc: (
        Annotated[datetime, Meta(description="When the subscriber was last seen to hold the record as it was sent.")]
        | None
    )
    subscriber_record_id: str | None

    @property
    def summary(self) -> DeliverySummary:
        return DeliverySummary(self.subscription_id, self.state, self.code)


class DeliverySummary(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a delivery that the audit log keeps when many deliveries are changed together."""

    subscription_id: str
    state: State
    code: str | None


class Requeued(msgspec.Struct, frozen=True):
    """A requeued delivery: its previous state in *before*, and the delivery itself in *now*."""

    before: DeliverySummary
    now: Delivery


class AttemptRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The request of an attempt as it was sent, with what is secret masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: Annotated[str, Meta(description="As text, at most 64 KiB; null where there is none.")] | None


class AttemptResponse(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The response of an attempt as it was received, with what is secret masked."""

    status: int
    headers: dict[str, str]
    body: Annotated[str, Meta(description="As text, at most 64 KiB; null where there is none.")] | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One attempt: its request and response, without secrets."""

    number: int
    started_utc: datetime
    ended_utc: datetime | None
    code: Annotated[str, Meta(description="Null when it succeeded or is under way.")] | None
    message: str | None
    request: Annotated[Raw, Meta(description="Method, Url, Headers, Body.")] | None
    response: Annotated[Raw, Meta(description="Status, Headers, Body.")] | None


class DeliveryDetail(Delivery, frozen=True, kw_only=True, rename="pascal"):
    """A delivery with its event, the payload of its last attempt, and every attempt."""

    event: Annotated[Event, Meta(description="Null once it was removed from the hub.")] | None
    payload: Annotated[Raw, Meta(description="The result of the template for the last attempt.")] | None
    attempt_log: list[Attempt]
