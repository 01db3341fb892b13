"""Query parameters, read as a Struct in the same way as bodies."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from msgspec import Raw

from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.fields import declared_fields, read_struct
from learning_hub.model.participant_id import to_look_up

T = TypeVar("T", bound=msgspec.Struct)

_BOOLEANS = {"true": b"true", "false": b"false", "1": b"true", "0": b"false"}
_INTEGER = re.compile(r"-?[0-9]{1,18}")
# An address or a time with a space would be refused or found nowhere, so an empty list would mislead.
_ADDRESS = "PublisherParticipantId"
_OFFSET_WITH_SPACE = re.compile(r":[0-9.:]+ [0-9]{2}:?[0-9]{2}$")
PLUS_IS_A_SPACE = "has a + that is read as a space; write %2B for a plus sign, and %20 for a space"


def parse_query(query: str) -> tuple[list[tuple[str, str]], frozenset[str]]:
    """The names and values of a query string, and the names of those with a plus sign that is read as a space."""
    sent = [part.partition("=") for part in query.split("&")]
    with_plus = [name for name, _, value in sent if "+" in value]
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    return pairs, frozenset(unquote_plus(name, errors="replace") for name in with_plus)


def read_query(pairs: list[tuple[str, str]], struct: type[T], with_plus: Collection[str] = ()) -> T:
    """
    Query parameters as a *struct*: texts unchanged; numbers, booleans and times read from their text.

    Args:
        pairs: Names and values; bytes that are not UTF-8 appear in them as lone surrogates.
        struct: The parameters that are accepted.
        with_plus: The names of parameters that were sent with a plus sign, which is read as a space.

    Raises:
        InvalidFields: With every parameter that is unknown, given twice, or of the wrong form.
    """
    fields: dict[str, Raw] = {}
    errors: list[FieldError] = []
    declared = declared_fields(struct)
    for sent_name, value in pairs:
        name = sent_name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if name in fields:
            errors.append(FieldError(name, "was given more than once"))
        if name in with_plus and _lost_its_plus(name, value, declared[name].kind if name in declared else None):
            errors.append(FieldError(name, PLUS_IS_A_SPACE))
        try:
            fields[name] = _as_json(value, declared[name].kind if name in declared else None)
        except UnicodeEncodeError:
            errors.append(FieldError(name, "is not valid UTF-8"))
    given = {name: raw for name, raw in fields.items() if name not in {error.field for error in errors}}
    try:
        result = read_struct(given, struct)
    except InvalidFields as error:
        raise InvalidFields(errors + _as_parameters(error.errors)) from None
    if errors:
        raise InvalidFields(errors)
    return result


def _lost_its_plus(name: str, value: str, kind: Any) -> bool:
    """Whether the space that a plus sign became breaks the value: an address, or the offset of a time."""
    if kind is datetime:
        return _OFFSET_WITH_SPACE.search(value) is not None
    return name == _ADDRESS and "@" in value and " " in to_look_up(value)


def _as_json(value: str, kind: Any) -> Raw:
    """The text of a parameter as a JSON value of its *kind*; a text of another form stays a text, to be refused."""
    if kind is bool and value.lower() in _BOOLEANS:
        return Raw(_BOOLEANS[value.lower()])
    if kind is int and _INTEGER.fullmatch(value):
        return Raw(str(int(value)).encode())
    return Raw(msgspec.json.encode(value))


def _as_parameters(errors: list[FieldError]) -> list[FieldError]:
    return [
        FieldError(
            error.field,
            "is not a known query parameter" if error.message == "is not a known field" else error.message,
        )
        for error in errors
    ]
