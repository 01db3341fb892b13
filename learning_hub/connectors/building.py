"""Creating a target at a subscriber, such as a panel source at iMIS: what is wanted, and what came of it."""

from __future__ import annotations

import msgspec

from learning_hub.model.panel import PanelField


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """
    A target that the subscriber is to have.

    *fields* are those it needs, the field for the record key among them; it may have others. With *is_read_only*,
    fields that are added are flagged as not to be changed by people.
    """

    name: str
    description: str
    fields: tuple[PanelField, ...]
    is_read_only: bool = False


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """
    The target as it is now, read back from the subscriber.

    *name* is as the subscriber spells it, *fields* are all fields it has now, *before* those it had (None: the target
    was created). *lacks* names fields of the blueprint that are missing although nothing was refused. *rows_readable*
    says whether records can be read there, None where that is not known. *findings* are sentences for a person.
    """

    name: str
    fields: list[PanelField]
    before: list[PanelField] | None
    lacks: list[str]
    rows_readable: bool | None
    findings: list[str]


class Clash(msgspec.Struct, frozen=True):
    """The name belongs to something else, or a field has another type; nothing was changed."""

    message: str
