"""A subscription: which events of a Program a subscriber gets, the target, and a template for each category."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from learning_hub.model.cron import is_cron
from learning_hub.model.event import REOPENED, EventType
from learning_hub.model.ids import PROGRAM_ID_PATTERN
from learning_hub.model.json_values import write_json
from learning_hub.model.precondition import entity_tag

Id = Annotated[str, Meta(pattern=PROGRAM_ID_PATTERN)]
OnWithdraw = Literal["keep", "remove"]
OnReopened = Literal["ignore", "remove"]
State = Literal["started", "stopped"]
ObjectText = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]


class SubscriptionBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of a PUT of a subscription. Fields that the Preset gives may be left out; fields sent replace them."""

    preset: (
        Annotated[str, Meta(max_length=100, description="A PresetId; the preset is filled in when saved.")] | None
    ) = None
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    subscriber_id: Id | None = None
    program_id: Id | None = None
    publisher_system_id: (
        Annotated[str, Meta(min_length=1, max_length=25, description="Only events of this system; null: of all.")]
        | None
    ) = None
    event_types: Annotated[list[EventType], Meta(min_length=1, description="Event types, each once.")] | None = None
    target: Annotated[ObjectText, Meta(description="Where in the subscriber the records are written.")] | None = None
    templates: (
        Annotated[
            ObjectText,
            Meta(
                description=(
                    "The template of each category value. `_default` serves every other category and events without "
                    "a category; null switches a category off. With a Preset, the categories given replace the "
                    "Preset's."
                )
            ),
        ]
        | None
    ) = None
    schedule: Annotated[
        str,
        Meta(
            max_length=200,
            description=(
                "`realtime`, `manual`, or a cron expression of five fields: at its times all events since the "
                "subscription's checkpoint are sent."
            ),
        ),
    ] = "realtime"
    time_zone: Annotated[
        str, Meta(max_length=100, description="The time zone of the cron expression, such as America/New_York.")
    ] = "UTC"
    on_withdraw: Annotated[OnWithdraw, Meta(description="What a withdrawal does to a record that was sent.")] = "keep"
    on_reopened: Annotated[OnReopened, Meta(description="Whether AI_REOPENED and LPI_REOPENED remove the record.")] = (
        "ignore"
    )
    state: Annotated[State, Meta(description="Left out: `started` for a new subscription, else unchanged.")] | None = (
        None
    )
    start_from: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="`now`, `beginning` or a time; fixed once the subscription is made. Left out: `now`.",
            ),
        ]
        | None
    ) = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", dict=True):
    """A subscription as it is stored and shown."""

    subscription_id: Id
    name: str
    subscriber_id: Id
    program_id: Id
    publisher_system_id: str | None
    event_types: list[EventType]
    target: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]
    templates: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]
    schedule: str
    time_zone: str
    on_withdraw: OnWithdraw
    on_reopened: OnReopened
    state: State
    start_from: Annotated[str, Meta(description="`now`, `beginning` or a time.")]
    created_utc: datetime
    changed_utc: datetime
    archived_utc: datetime | None

    @property
    def tag(self) -> str:
        return entity_tag(self, Subscription)

    @property
    def as_body(self) -> dict[str, Any]:
        """The fields of the SubscriptionBody that makes it."""
        return {
            field.encode_name: getattr(self, field.name)
            for field in msgspec.structs.fields(SubscriptionBody)
            if field.name != "preset"
        }

    @cached_property
    def templates_json(self) -> str:
        """The templates as JSON text, numbers as they were spelled."""
        return write_json(self.templates).decode()

    @property
    def is_realtime(self) -> bool:
        """Whether its deliveries are sent as soon as they are made; otherwise they are held for a run."""
        return self.state == "started" and self.schedule == "realtime" and self.archived_utc is None

    @property
    def is_scheduled(self) -> bool:
        """Whether a run sends its deliveries at the times of a cron expression."""
        return self.state == "started" and is_cron(self.schedule) and self.archived_utc is None

    def wants(self, publisher_system_id: str, event_type: str) -> bool:
        """Whether it gets events of this system and type; its Program and its checkpoint are not considered."""
        return event_type in self.event_types and self._is_of_system(publisher_system_id)

    def removes_when_reopened(self, publisher_system_id: str, event_type: str) -> bool:
        """Whether an event of this system and type, which it does not get itself, removes the record of its source."""
        return (
            self.on_reopened == "remove"
            and event_type in REOPENED
            and event_type not in self.event_types
            and self._is_of_system(publisher_system_id)
        )

    def _is_of_system(self, publisher_system_id: str) -> bool:
        return self.publisher_system_id in (None, publisher_system_id)


class SavedSubscription(Subscription, frozen=True, kw_only=True, rename="pascal"):
    """A subscription as it is shown after it was saved."""

    warnings: (
        Annotated[
            list[str],
            Meta(description="As sentences: what may fail, or why templates could not be compared with the target."),
        ]
        | UnsetType
    ) = UNSET
