"""A preview: what a subscription would send for an event."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class PreviewError(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Why there is no payload."""

    code: Annotated[str, Meta(description="`template_error`, `category_off` or `no_template`.")]
    message: str
    place: Annotated[str, Meta(description="The path in the templates: category and keys, joined with dots.")]


class Preview(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The payload that would be sent, or why there is none."""

    template: Annotated[str, Meta(description="The category value or `_default`.")] | None
    payload: Annotated[dict[str, Any], Meta(extra_json_schema={"additionalProperties": True})] | None
    error: PreviewError | None
