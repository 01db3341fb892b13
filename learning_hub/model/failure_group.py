"""Groups of failures with the same cause."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from learning_hub.model.failure import FailureClass

GroupKind = Literal["failures", "pause"]


class Example(msgspec.Struct, frozen=True, rename="pascal"):
    """The newest delivery of a group."""

    delivery_id: str
    event_id: str


class Group(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    Deliveries of one subscription that failed with the same cause, or a subscriber that is paused for refused
    credentials or for long.

    A group of failures has a *subscription_id*, a *signature* and an *example*; a pause has none of them.
    """

    kind: Annotated[GroupKind, Meta(description="`pause`: nothing is sent to the subscriber.")]
    program_id: str
    subscriber_id: str
    subscription_id: str | None
    code: str
    class_: Annotated[FailureClass, Meta(description="Who is responsible.")] = msgspec.field(name="Class")
    message: Annotated[str, Meta(description="The reason of the example, as a sentence for staff.")]
    advice: Annotated[str, Meta(description="What a person can do.")] | None
    signature: (
        Annotated[
            str, Meta(description="What the failures have in common: a filter of GET /deliveries and of requeue.")
        ]
        | None
    )
    count: Annotated[
        int,
        Meta(
            description="Deliveries that are retrying or parked for this cause, or skipped for want of a template. For "
            "a pause: those that wait, and those that are retrying because the subscriber was away."
        ),
    ]
    first_utc: Annotated[datetime, Meta(description="When the first of them failed, or the pause began.")]
    last_utc: Annotated[datetime, Meta(description="When a delivery last failed.")]
    example: Example | None

    @property
    def position(self) -> GroupPosition:
        """Its position in the list."""
        is_hub = self.class_ == "hub" and self.kind == "failures"
        return GroupPosition(
            rank=0 if is_hub else 1 if self.kind == "pause" else 2,
            count=self.count,
            program_id=self.program_id,
            subscriber_id=self.subscriber_id,
            subscription_id=self.subscription_id or "",
            code=self.code,
            signature=self.signature or "",
        )


class GroupPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The order of groups: failures of the hub itself, then pauses, then the rest, each the largest first."""

    rank: Annotated[int, Meta(ge=0, le=2)]
    count: Annotated[int, Meta(ge=0, lt=2**62)]
    program_id: str
    subscriber_id: str
    subscription_id: str
    code: str
    signature: str

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()
