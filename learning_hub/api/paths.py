"""Ids in paths."""

from __future__ import annotations

from learning_hub.api.operations import Call
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.ids import is_id

ID_RULE = "must be 1 to 25 of A-Z a-z 0-9 _ . -, starting with a letter or digit"


def id_in_path(call: Call, name: str) -> str:
    """
    The id called *name* in the path: of a Program, a subscriber or a subscription.

    Raises:
        InvalidFields: It has not the form of one.
    """
    if errors := id_faults(call, name):
        raise InvalidFields(errors)
    return call.path[name]


def id_faults(call: Call, name: str) -> list[FieldError]:
    """What is wrong with the id called *name* in the path, to be told together with what is wrong with the body."""
    return [] if is_id(call.path[name]) else [FieldError(name, ID_RULE)]
