"""The filter of deliveries, for lists and for requests that change many."""

from __future__ import annotations

import msgspec

from learning_hub.model.ids import EventKey


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The filter of deliveries; None is no restriction. *programs* are those that the caller may see."""

    programs: list[str] | None = None
    state: str | None = None
    subscription_id: str | None = None
    subscriber_id: str | None = None
    class_: str | None = None
    code: str | None = None
    signature: str | None = None
    event: EventKey | None = None
