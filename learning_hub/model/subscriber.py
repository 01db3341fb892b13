"""A subscriber: a system that gets events, and how to reach it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.model.circuit_breaker import ShownPause
from learning_hub.model.ids import PROGRAM_ID_PATTERN
from learning_hub.model.precondition import entity_tag

SubscriberId = Annotated[
    str,
    Meta(
        pattern=PROGRAM_ID_PATTERN,
        description="1 to 25 of A-Z a-z 0-9 _ . -, starting with a letter or digit.",
    ),
]
AnyObject = Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]


class SubscriberBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of a PUT of a subscriber."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    connector: Annotated[
        str,
        Meta(
            max_length=50,
            description="The kind of system, such as `imis`; it cannot be changed later.",
        ),
    ]
    settings: (
        Annotated[Raw, Meta(description="The settings that the connector needs.", extra_json_schema={"type": "object"})]
        | None
    ) = None
    credentials: (
        Annotated[
            Raw,
            Meta(
                description=(
                    "The credentials that the connector needs; left out: unchanged. They are never shown again, "
                    "except in the response to a PUT for which the hub itself made one."
                ),
                extra_json_schema={"type": "object"},
            ),
        ]
        | None
    ) = None


class SubscriberPatch(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The fields of a subscriber that a merge patch changes; the whole is checked as a PUT of it."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    connector: Annotated[str, Meta(max_length=50, description="May be sent, but not changed.")] | None = None
    settings: Annotated[AnyObject, Meta(description="The settings that change.")] | None = None
    credentials: Annotated[AnyObject, Meta(description="The credentials that change.")] | None = None


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber as it is stored; its credentials are encrypted (`store.subscribers.credentials` reads them)."""

    subscriber_id: str
    name: str
    connector: str
    settings: dict[str, Any]
    max_concurrency: int
    encrypted_credentials: bytes | None
    credentials_changed_utc: datetime | None
    credentials_checked_utc: datetime | None
    created_utc: datetime
    changed_utc: datetime
    archived_utc: datetime | None


class ShownSubscriber(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A subscriber as it is shown, without its credentials."""

    subscriber_id: SubscriberId
    name: str
    connector: str
    settings: AnyObject
    has_credentials: bool
    credential_fields: Annotated[
        list[str],
        Meta(description="The names of the stored credentials; empty if the hub's keys cannot decrypt them."),
    ]
    credentials_changed_utc: (
        Annotated[datetime, Meta(description="When an administrator last gave credentials; the audit log has it too.")]
        | None
    )
    created_utc: datetime
    changed_utc: datetime
    archived_utc: datetime | None
    paused: (
        Annotated[
            ShownPause,
            Meta(description="The pause: the subscriber is away, asks to wait, or refuses the credentials."),
        ]
        | None
    )

    @property
    def tag(self) -> str:
        return entity_tag(self, ShownSubscriber, without={"paused"})


class SavedSubscriber(ShownSubscriber, frozen=True, kw_only=True, rename="pascal"):
    """A subscriber as it is shown after it was saved."""

    signing_secret: (
        Annotated[str, Meta(description="The secret that the hub made for a webhook; shown only in this response.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
