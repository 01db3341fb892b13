"""The input and the result of the renderer for one payload."""

from __future__ import annotations

from typing import Any

import msgspec


class RenderJob(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event to be rendered for one subscription.

    *templates_json* is the subscription's whole `Templates`. *category* is the value of the event's category, None
    without one. *scope_json* comes from `write_scope`. *time_zone* is the subscriber's IANA zone for `imis_datetime`;
    None is UTC. *preview_for* is the id of the key for whose caller this is a preview, None for a delivery; previews
    wait until no delivery waits for a process.
    """

    templates_json: str
    category: str | None
    scope_json: bytes
    time_zone: str | None = None
    preview_for: str | None = None


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """
    The payload for one event.

    *payload* holds JSON values as `model.json_values.read_json` gives them. *template_name* is the category value or
    `_default`.
    """

    payload: dict[str, Any]
    template_name: str
