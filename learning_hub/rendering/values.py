"""
Values in a template: as text, as JSON, and in a message.

Values are JSON values as `model.json_values` reads them. Liquid adds ranges, pairs from loops over an object, and
objects without a JSON form, such as `forloop`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.exceptions import FilterArgumentError, LiquidError, UndefinedError
from liquid.undefined import Undefined

from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.rendering.budget import LimitReachedError
from learning_hub.rendering.limits import MAX_LIST_ITEMS

_MAX_SHOWN_CHARACTERS = 40


class PresentMoment(str):
    """`now` or `today` written in a template, which filters of times read as the present; in data it is only text."""

    __slots__ = ()


def filter_error(message: str) -> FilterArgumentError:
    """The error of a filter that cannot use its input or arguments; *message* has no full stop."""
    return FilterArgumentError(message, token=None)


def is_missing(value: object) -> bool:
    """Whether *value* stands for a missing value; null is not missing."""
    return isinstance(value, Undefined)


def refuse_missing(value: object) -> None:
    """
    Raise an error for a missing value.

    Raises:
        UndefinedError: *value* stands for a missing value; the message names it.
    """
    if isinstance(value, Undefined):
        raise UndefinedError(value.hint or f"{value.name} is missing", token=value.token)


def to_json_value(value: object) -> Any:
    """
    *value* as a JSON value.

    Ranges and pairs become lists, `empty` and `blank` become the empty text; numbers keep their spelling.

    Raises:
        UndefinedError: *value* or a value inside it is missing.
        LiquidError: *value* has no JSON form.
    """
    if value is None or isinstance(value, (str, bool, int, SpelledDecimal)):
        return str(value) if isinstance(value, PresentMoment) else value
    refuse_missing(value)
    if isinstance(value, dict):
        return {key: to_json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(item) for item in value]
    if isinstance(value, range):
        return list_of(value)
    if isinstance(value, Decimal):
        return spelled(value)
    if isinstance(value, (Empty, Blank)):
        return ""
    raise LiquidError(f"a {type(value).__name__} cannot be sent as a value", token=None)


def as_text(value: object) -> str:
    """
    *value* inside text: null is empty, numbers keep their spelling, objects and lists are JSON.

    Raises:
        UndefinedError: *value* is missing.
        LiquidError: *value* has no JSON form.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, SpelledDecimal)):
        return str(value)
    plain = to_json_value(value)
    return plain if isinstance(plain, str) else write_json(plain).decode()


def list_of(values: range) -> list[int]:
    """
    The numbers of a range as a list.

    Raises:
        LimitReachedError: It has more than a hundred thousand.
    """
    # len() cannot return the length of a very long range, so the ends are compared.
    if values.stop - values.start > MAX_LIST_ITEMS:
        raise LimitReachedError(f"a range may have at most {MAX_LIST_ITEMS:,} numbers")
    return list(values)


def spelled(number: Decimal) -> SpelledDecimal:
    """
    *number* in its plain spelling (`0.3`, `100`), or with an exponent where that would take over forty zeros.

    Raises:
        LiquidError: *number* is infinite or NaN.
    """
    if isinstance(number, SpelledDecimal):
        return number
    if not number.is_finite():
        raise LiquidError(f"{number} is not a number that JSON can hold", token=None)
    exponent = int(number.as_tuple().exponent)
    plainly = exponent <= 40 and number.adjusted() >= -40
    return SpelledDecimal(f"{number:f}" if plainly else str(number))


def shown(value: object) -> str:
    """*value* as a message shows it: JSON, cut to forty characters."""
    try:
        text = write_json(to_json_value(value)).decode()
    except (LiquidError, TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"


def is_blank(value: object) -> bool:
    """Whether *value* is null, text of white space alone, or an empty list or object."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())
