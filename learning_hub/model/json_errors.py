"""
The errors of a JSON text, each with its place.

This reader is slower than that of `json_values`, and accepts texts that the other rejects (lone surrogates, any
number), so it reads only texts that have an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from learning_hub.model.errors import FieldError

# Enough for a person to find the error; more would only make the response long.
MAX_ERRORS = 100
_MAX_KEY_CHARACTERS = 60

_OUT_OF_RANGE = "is a number beyond the range of a double (about 1.8e308)"


def place_in(whole: str, step: str | int) -> str:
    """
    The name of a place, one *step* into *whole*: `Items` and 3 give `Items[3]`, with `Name` `Items[3].Name`.

    A long key is cut and unprintable characters are escaped, so that the name can be part of any response.
    """
    if isinstance(step, int):
        return f"{whole}[{step}]"
    key = step if len(step) <= _MAX_KEY_CHARACTERS else f"{step[:_MAX_KEY_CHARACTERS]}…"
    return f"{whole}.{key}" if key.isprintable() else f"{whole}.{key.encode('unicode_escape').decode()}"


def too_deep(field: str, max_depth: int) -> FieldError:
    """The error of a value that is nested too deeply."""
    return FieldError(field, f"is nested more than {max_depth} levels deep")


class _Spelling(str):
    """A number as it is spelled in the text, distinct from a string."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object with all of its keys, repeated ones too."""


def _reject_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not a JSON value", name, 0)


def find_errors(raw: bytes, field: str, cause: Exception | None, max_depth: int = 1000) -> list[FieldError]:
    """
    The errors of a JSON text, up to `MAX_ERRORS`, in the order of the text.

    Args:
        raw: The text, in UTF-8.
        field: The name of the whole text, with which all places begin.
        cause: Why the strict reader rejected the text, if it did; the result then has at least one error.
        max_depth: Levels of objects and arrays allowed.
    """
    try:
        tree = json.loads(
            raw.decode(),
            parse_int=_Spelling,
            parse_float=_Spelling,
            parse_constant=_reject_constant,
            object_pairs_hook=_Pairs,
        )
    except UnicodeDecodeError as error:
        return [FieldError(field, f"is not valid UTF-8 (byte {error.start})")]
    except RecursionError:
        return [too_deep(field, max_depth)]
    except ValueError as error:
        return [FieldError(field, f"is not well-formed JSON: {_describe_malformed(error, cause)}")]
    errors = list(_walk_errors(tree, field, max_depth))
    if not errors and cause:
        errors = [FieldError(field, f"cannot be read as JSON: {cause}")]
    return errors


def _describe_malformed(error: ValueError, cause: Exception | None) -> str:
    reason = str(cause)
    if reason.startswith("JSON is malformed: "):
        return reason.removeprefix("JSON is malformed: ")
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at character {error.pos}"
    return str(error)


# A place is kept as (place of the parent, step) and spelled out only for errors; otherwise the cost would be quadratic
# in the depth.
_Place = tuple[Any, str | int] | None


def _walk_errors(tree: Any, field: str, max_depth: int) -> Iterator[FieldError]:
    found = 0
    stack: list[tuple[Any, _Place, int]] = [(tree, None, 1)]
    while stack and found < MAX_ERRORS:
        node, place, depth = stack.pop()
        if isinstance(node, list) and depth > max_depth:
            yield too_deep(field, max_depth)
            return
        for message in _node_errors(node):
            found += 1
            yield FieldError(_spell_place(field, place), message)
        if isinstance(node, list):
            steps = node if isinstance(node, _Pairs) else list(enumerate(node))
            stack.extend((child, (place, step), depth + 1) for step, child in reversed(steps))


def _node_errors(node: Any) -> Iterator[str]:
    if isinstance(node, _Spelling):
        if math.isinf(float(node)):
            yield _OUT_OF_RANGE
    elif isinstance(node, str):
        yield from (f"has {character}" for character in _forbidden_characters(node))
    elif isinstance(node, _Pairs):
        for character in dict.fromkeys(character for key, _ in node for character in _forbidden_characters(key)):
            yield f"has a key with {character}"


def _forbidden_characters(text: str) -> Iterator[str]:
    if "\0" in text:
        yield "a NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        yield "a lone surrogate (half of a UTF-16 pair)"


def _spell_place(field: str, place: _Place) -> str:
    steps = []
    while place is not None:
        place, step = place
        steps.append(step)
    for step in reversed(steps):
        field = place_in(field, step)
    return field
