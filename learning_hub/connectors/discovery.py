"""
Discovery: the targets of a subscriber, which are where its records are stored, and the fields of each target.

A connector that can be asked for them is `Discovering` (`connectors/base.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Target(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Where a subscriber stores records."""

    name: Annotated[str, Meta(description="As the subscriber spells it.")]
    kind: Annotated[str, Meta(description="`activity` or `panel`, as in the Target of a subscription.")]
    instances: (
        Annotated[Literal["single", "multi"], Meta(description="Whether a contact has one record there, or many.")]
        | None
    ) = None
    description: str | None = None


class Field(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A field of the records of a target."""

    name: Annotated[str, Meta(description="As the subscriber spells it; templates may use any case.")]
    label: Annotated[str, Meta(description="Another name that templates may use.")] | None = None
    type: (
        Annotated[
            str, Meta(description="`String`, `Integer`, `Decimal`, `Monetary`, `Boolean`, `Date`; null: not known.")
        ]
        | None
    )
    length: Annotated[int, Meta(description="Characters of a text; null: no limit, or none that is known.")] | None = (
        None
    )
    required: Annotated[bool, Meta(description="A record must have a value there.")] = False
    default: Annotated[str, Meta(description="What is put in where a new record has no value.")] | None = None
    read_only: Annotated[bool, Meta(description="No template can fill it; FilledBy says who does.")] = False
    filled_by: Annotated[Literal["hub", "imis"], Meta(description="Who fills it, where no template can.")] | None = None
    caption: str | None = None
    description: str | None = None


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of a subscriber, by name; *warnings* are sentences about what could not be found out."""

    items: list[Target]
    warnings: list[str] = []


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """
    The fields of a target, in the subscriber's order; empty where the subscriber does not list them.

    *rows_readable* says whether the account may read records there now, None where that is not known. *warnings* are
    sentences about what could not be found out, or must be done before records can be stored.
    """

    target: Target
    items: list[Field]
    rows_readable: bool | None = None
    warnings: list[str] = []


class NoTarget(msgspec.Struct, frozen=True):
    """The subscriber lists no such target; *message* says what to do."""

    message: str
