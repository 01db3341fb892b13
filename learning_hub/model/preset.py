"""A preset: the target, event types and templates that a subscription may begin with."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.model.event import EventType


class Preset(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A ready-made mapping."""

    preset_id: str
    name: str
    connector: str
    target: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]
    event_types: list[EventType]
    templates: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]
    sample_event: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})]
