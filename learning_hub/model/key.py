"""An API key as administrators see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.access import SCOPES, Scope
from learning_hub.model.errors import FieldError

ProgramList = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=25)]],
    Meta(min_length=1, max_length=1000, description='Programs the key is for, or ["*"] for all of them.'),
]
# As texts: an error of a list of choices would name neither all that are wrong nor those there are.
ScopeList = Annotated[
    list[Annotated[str, Meta(extra_json_schema={"enum": SCOPES})]],
    Meta(min_length=1, max_length=5, description="What the key may do."),
]


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What making a key takes."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    programs: ProgramList
    scopes: ScopeList
    expires_utc: datetime | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A key without its secret."""

    key_id: str
    name: str
    programs: list[str]
    scopes: list[Scope]
    created_utc: datetime
    expires_utc: datetime | None
    revoked_utc: datetime | None
    last_used_utc: Annotated[datetime, Meta(description="To within some seconds.")] | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A key just made; `Key` is shown this once."""

    key_id: str
    key: Annotated[str, Meta(description="The key itself. It is not stored and cannot be shown again.")]
    name: str
    programs: list[str]
    scopes: list[Scope]
    created_utc: datetime
    expires_utc: datetime | None


def scope_faults(scopes: Mapping[int, str]) -> list[FieldError]:
    """What is wrong with the scopes of a KeyBody, each named by its place in the list, with those there are."""
    return [
        FieldError(f"Scopes[{index}]", f"must be one of {', '.join(SCOPES)}")
        for index, scope in scopes.items()
        if scope not in SCOPES
    ]
