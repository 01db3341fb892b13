"""The input and the result of the renderer for one payload."""

from __future__ import annotations

from typing import Any

import msgspec


class RenderJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event to be rendered for one subscription.

    *templates_json* is the subscription's whole `Templates`. *category* is the value of the event's category, None
    without one. *scope_json* comes from `write_scope`. *time_zone* is the subscriber's IANA zone for `imis_datetime`;
    None is UTC. A job that *is_preview* waits until no delivery waits for a process.
    """

    templates_json: str
    category: str | None
    scope_json: bytes
    time_zone: str | None = None
    is_preview: bool = False


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """
    The payload for one event.

    *payload* holds JSON values as `model.json_values.read_json` gives them. *template_name* is the category value or
    `_default`.
    """

    payload: dict[str, Any]
    template_name: str
