"""A Program: the organisation whose learning is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.ids import PROGRAM_ID_PATTERN
from learning_hub.model.precondition import entity_tag

# Errors, which continue a sentence that begins with the name of the field.
NOT_KNOWN = "is not a known Program"
ARCHIVED = "is archived"
TAKES_NO_EVENTS = "is archived and takes no events"

ProgramId = Annotated[
    str,
    Meta(
        pattern=PROGRAM_ID_PATTERN,
        description="1 to 25 of A-Z a-z 0-9 _ . -, starting with a letter or digit.",
    ),
]


class Program(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An organisation that owns events."""

    program_id: ProgramId
    name: str
    created_utc: datetime
    archived_utc: datetime | None = None

    @property
    def tag(self) -> str:
        return entity_tag(self, Program)


class ProgramPatch(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The fields of a Program that a merge patch changes; the whole is checked as a PUT of it."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class ProgramBody(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of a PUT of a Program."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
