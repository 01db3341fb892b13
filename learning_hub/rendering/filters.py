"""
All filters of templates, including Liquid's standard filters, corrected where those of python-liquid are wrong here.

Numbers are decimals, and a value that is not a number is an error. Null, booleans, lists and objects in text are
written as everywhere in a template, not as Python writes them. `truncate` and `truncatewords` do not change text that
just fits. Ranges are bounded. Errors name the filter and its input, not Python's types. A missing value is an error in
every filter but `default` and the typed filters, which pass it on to a later `default`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from learning_hub.rendering import arithmetic, typed_filters
from learning_hub.rendering.budget import LimitReachedError
from learning_hub.rendering.limits import MAX_LIST_ITEMS, MAX_TEXT_CHARACTERS
from learning_hub.rendering.values import (
    as_text,
    filter_error,
    is_missing,
    list_of,
    refuse_missing,
    shown,
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
# A later `default` replaces a missing value; without it, the missing value is an error where it is used.
_PASS_ON_MISSING = frozenset((
    "blank_to_null", "boolean", "date", "decimal", "imis_datetime", "in_zone", "integer", "text",
))  # fmt: skip


def all_filters(standard: Mapping[str, Filter]) -> dict[str, Filter]:
    """Every filter that a template can use, by name; *standard* are those of python-liquid."""
    borrowed = {name: _with_clear_errors(name, standard[name]) for name in (*TEXT_FILTERS, *_LIST_FILTERS, "slice")}
    filters = {name: _taking_text(borrowed[name]) for name in TEXT_FILTERS}
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
        "blank_to_null": typed_filters.blank_to_null,
        "boolean": typed_filters.boolean,
        "date": typed_filters.date,
        "decimal": typed_filters.decimal,
        "imis_datetime": typed_filters.imis_datetime,
        "in_zone": typed_filters.in_zone,
        "integer": typed_filters.integer,
        "json": typed_filters.json,
        "must_have": typed_filters.must_have,
        "text": typed_filters.text,
    }
    guarded = {name: _guarded(filter_, passes_on_missing=name in _PASS_ON_MISSING) for name, filter_ in filters.items()}
    return guarded | {"default": standard["default"]}


def join(left: object, separator: object = " ") -> str:
    """The items of a list as text, with *separator* between them; any other value as text."""
    items = [as_text(item) for item in _flat(left)] if isinstance(left, (list, tuple)) else [as_text(left)]
    between = as_text(separator)
    if sum(map(len, items)) + len(between) * len(items) > MAX_TEXT_CHARACTERS:
        raise _text_too_long()
    return between.join(items)


def map_(left: object, key: object) -> list[Any]:
    """The values of *key* in a list of objects; null for an object that does not have the key."""
    values = []
    for item in _flat(left) if isinstance(left, (list, tuple)) else [left]:
        if not isinstance(item, dict):
            raise filter_error(f"map needs objects and got {shown(item)}")
        values.append(item.get(as_text(key)))
    return values


def truncate(left: object, length: object = 50, end: object = "...") -> str:
    """Text of at most *length* characters; if it was cut, they include *end*."""
    text, mark = as_text(left), as_text(end)
    limit = _count(length, "truncate")
    return text if len(text) <= limit else text[: max(limit - len(mark), 0)] + mark


def truncatewords(left: object, count: object = 15, end: object = "...") -> str:
    """The first *count* words, followed by *end* if the text has more."""
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


def _with_clear_errors(name: str, filter_: Filter) -> Filter:
    """*filter_* of python-liquid with errors that name the filter, its input and its arguments."""

    @wraps(filter_)
    def with_clear_errors(left: object, *args: object, **kwargs: Any) -> Any:
        try:
            return filter_(left, *args, **kwargs)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            given = f": {', '.join(map(shown, args))}" if args else ""
            raise filter_error(f"{name}{given} cannot work with {shown(left)}") from error

    return with_clear_errors


def _taking_text(filter_: Filter) -> Filter:
    """*filter_* whose input and arguments become text first, as templates write it; whole numbers stay numbers."""

    @wraps(filter_)
    def taking_text(left: object, *args: object, **kwargs: Any) -> Any:
        texts = [value if type(value) is int else as_text(value) for value in args]
        return filter_(as_text(left), *texts, **kwargs)

    return taking_text


def _slice(filter_: Filter) -> Filter:
    @wraps(filter_)
    def slice_(left: object, *args: object) -> Any:
        return filter_(left if isinstance(left, (list, tuple)) else as_text(left), *args)

    return slice_


def _guarded(filter_: Filter, *, passes_on_missing: bool) -> Filter:
    """*filter_* that rejects missing values or passes them on, takes ranges as lists, and has a bounded result."""

    @wraps(filter_)
    def guarded(left: object, *args: object, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            refuse_missing(value)
        if passes_on_missing and is_missing(left):
            return left
        refuse_missing(left)
        result = filter_(list_of(left) if isinstance(left, range) else left, *args, **kwargs)
        if isinstance(result, str) and len(result) > MAX_TEXT_CHARACTERS:
            raise _text_too_long()
        if isinstance(result, list) and len(result) > MAX_LIST_ITEMS:
            raise LimitReachedError(f"a list may have at most {MAX_LIST_ITEMS:,} items")
        return result

    return guarded


def _text_too_long() -> LimitReachedError:
    return LimitReachedError(f"a text may have at most {MAX_TEXT_CHARACTERS:,} characters")
