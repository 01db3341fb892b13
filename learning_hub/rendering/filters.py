"""
Liquid's standard filters, mended where python-liquid's would be wrong here.

What is mended: numbers are decimals and a non-number is an error; null, true, lists and objects inside text are
written as everywhere in a template, not as Python would; `truncate` and `truncatewords` leave text alone that just
fits; ranges are bounded; errors speak of the filter and its input, not of Python. A missing value is an error in every
filter but `default`, and the typed ones, which pass it on to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from learning_hub.rendering import arithmetic, typed
from learning_hub.rendering.limits import LONGEST_LIST, LONGEST_TEXT
from learning_hub.rendering.values import (
    LimitReachedError,
    as_text,
    is_missing,
    list_of,
    refuse_missing,
    shown,
    unreadable,
)

Filter = Callable[..., Any]

TEXT_FILTERS = (
    "append", "base64_decode", "base64_encode", "base64_url_safe_decode", "base64_url_safe_encode", "capitalize",
    "downcase", "escape", "escape_once", "lstrip", "newline_to_br", "prepend", "remove", "remove_first",
    "remove_last", "replace", "replace_first", "replace_last", "rstrip", "split", "squish", "strip", "strip_html",
    "strip_newlines", "upcase", "url_decode", "url_encode",
)  # fmt: skip
_LIST_FILTERS = (
    "compact", "concat", "find", "find_index", "first", "has", "last", "reject", "reverse", "size", "sort",
    "sort_natural", "uniq", "where",
)  # fmt: skip
# A `default` that comes later speaks for what is missing; without one it is an error where it is used.
_PASS_MISSING_ON = frozenset((
    "blank_to_null", "boolean", "date", "decimal", "imis_datetime", "in_zone", "integer", "text",
))  # fmt: skip


def all_filters(standard: Mapping[str, Filter]) -> dict[str, Filter]:
    """Every filter a template may use, by name; *standard* are python-liquid's."""
    borrowed = {name: _worded(name, standard[name]) for name in (*TEXT_FILTERS, *_LIST_FILTERS, "slice")}
    filters = {name: _on_text(borrowed[name]) for name in TEXT_FILTERS}
    filters |= {name: borrowed[name] for name in _LIST_FILTERS}
    filters |= {
        "abs": arithmetic.absolute,
        "at_least": arithmetic.at_least,
        "at_most": arithmetic.at_most,
        "ceil": arithmetic.ceil,
        "divided_by": arithmetic.divided_by,
        "floor": arithmetic.floor,
        "minus": arithmetic.minus,
        "modulo": arithmetic.modulo,
        "plus": arithmetic.plus,
        "round": arithmetic.round_,
        "sum": arithmetic.sum_,
        "times": arithmetic.times,
        "join": join,
        "map": map_,
        "slice": _slice(borrowed["slice"]),
        "truncate": truncate,
        "truncatewords": truncatewords,
        "blank_to_null": typed.blank_to_null,
        "boolean": typed.boolean,
        "date": typed.date,
        "decimal": typed.decimal,
        "imis_datetime": typed.imis_datetime,
        "in_zone": typed.in_zone,
        "integer": typed.integer,
        "json": typed.json,
        "must_have": typed.must_have,
        "text": typed.text,
    }
    guarded = {name: _guarded(filter_, passes_missing_on=name in _PASS_MISSING_ON) for name, filter_ in filters.items()}
    return guarded | {"default": standard["default"]}


def join(left: object, separator: object = " ") -> str:
    """The items of a list as text, one after the other with *separator* between; anything else as text."""
    items = [as_text(item) for item in _flat(left)] if isinstance(left, (list, tuple)) else [as_text(left)]
    between = as_text(separator)
    if sum(map(len, items)) + len(between) * len(items) > LONGEST_TEXT:
        raise _text_too_long()
    return between.join(items)


def map_(left: object, key: object) -> list[Any]:
    """What the objects of a list have under *key*; null where one does not have it."""
    found = []
    for item in _flat(left) if isinstance(left, (list, tuple)) else [left]:
        if not isinstance(item, dict):
            raise unreadable(f"map needs objects and got {shown(item)}")
        found.append(item.get(as_text(key)))
    return found


def truncate(left: object, length: object = 50, end: object = "...") -> str:
    """Text of at most *length* characters, of which *end* is the last part where something was cut off."""
    text, mark = as_text(left), as_text(end)
    limit = _count(length, "truncate")
    return text if len(text) <= limit else text[: max(limit - len(mark), 0)] + mark


def truncatewords(left: object, count: object = 15, end: object = "...") -> str:
    """The first *count* words, and *end* where there are more."""
    text = as_text(left)
    limit = max(_count(count, "truncatewords"), 1)
    words = text.split()
    return text if len(words) <= limit else " ".join(words[:limit]) + as_text(end)


def _count(value: object, filter_name: str) -> int:
    return arithmetic.to_integer(arithmetic.number_of(value, filter_name), filter_name)


def _flat(items: list[Any] | tuple[Any, ...]) -> list[Any]:
    flat: list[Any] = []
    for item in items:
        if isinstance(item, (list, tuple)):
            flat.extend(_flat(item))
        else:
            flat.append(item)
    return flat


def _worded(name: str, filter_: Filter) -> Filter:
    """*filter_* of python-liquid, whose errors are often Python's own, with one that names it and what it was given."""

    @wraps(filter_)
    def worded(left: object, *args: object, **kwargs: Any) -> Any:
        try:
            return filter_(left, *args, **kwargs)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            given = f": {', '.join(map(shown, args))}" if args else ""
            raise unreadable(f"{name}{given} cannot work with {shown(left)}") from error

    return worded


def _on_text(filter_: Filter) -> Filter:
    """*filter_* with everything but whole numbers turned into text first, the way templates write text."""

    @wraps(filter_)
    def on_text(left: object, *args: object, **kwargs: Any) -> Any:
        texts = [value if type(value) is int else as_text(value) for value in args]
        return filter_(as_text(left), *texts, **kwargs)

    return on_text


def _slice(filter_: Filter) -> Filter:
    @wraps(filter_)
    def slice_(left: object, *args: object) -> Any:
        return filter_(left if isinstance(left, (list, tuple)) else as_text(left), *args)

    return slice_


def _guarded(filter_: Filter, *, passes_missing_on: bool) -> Filter:
    """*filter_* refusing missing values or passing them on, with ranges as lists and a bound on what it makes."""

    @wraps(filter_)
    def guarded(left: object, *args: object, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            refuse_missing(value)
        if passes_missing_on and is_missing(left):
            return left
        refuse_missing(left)
        made = filter_(list_of(left) if isinstance(left, range) else left, *args, **kwargs)
        if isinstance(made, str) and len(made) > LONGEST_TEXT:
            raise _text_too_long()
        if isinstance(made, list) and len(made) > LONGEST_LIST:
            raise LimitReachedError(f"a list may have {LONGEST_LIST:,} items, not more")
        return made

    return guarded


def _text_too_long() -> LimitReachedError:
    return LimitReachedError(f"a text may have {LONGEST_TEXT:,} characters, not more")
