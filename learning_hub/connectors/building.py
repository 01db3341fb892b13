"""Creating a target at a subscriber, such as a panel source at iMIS: the specification and the result."""

from __future__ import annotations

import msgspec

from learning_hub.model.panel import PanelField


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """
    The specification of a target at the subscriber.

    *fields* are the fields it needs, including the field for the record key; it may have others. With *is_read_only*,
    added fields are flagged as not to be changed by people.
    """

    name: str
    description: str
    fields: tuple[PanelField, ...]
    is_read_only: bool = False


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """
    The present target, read back from the subscriber.

    *name* is spelled as at the subscriber. *fields* are all its present fields, *before* those it had (None: the target
    was created). *lacks* names fields of the blueprint that are missing although nothing was refused. *rows_readable*
    says whether records of the target can be read, None if that is not known. *findings* are sentences for a person.
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
