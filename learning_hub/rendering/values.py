"""
Values inside a template: what they are as text, as JSON, and in a message.

Values are JSON values as `model.json_values` reads them. Liquid adds ranges, pairs from looping over an object, and
things that have no value of their own, such as `forloop`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.exceptions import FilterArgumentError, LiquidError, UndefinedError
from liquid.undefined import Undefined

from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.rendering.limits import LONGEST_LIST

LONGEST_SHOWN = 40


class LimitReachedError(LiquidError):
    """A template took more than it may: more output, longer loops, longer lists."""

    def __init__(self, message: str) -> None:
        super().__init__(message, token=None)


def unreadable(reason: str) -> FilterArgumentError:
    """The error for a filter that cannot do its work; *reason* is a sentence without its full stop."""
    return FilterArgumentError(reason, token=None)


def is_missing(value: object) -> bool:
    """Whether *value* stands for something that is not there; null is there."""
    return isinstance(value, Undefined)


def refuse_missing(value: object) -> None:
    """
    Let anything pass but a missing value.

    Raises:
        UndefinedError: *value* stands for something that is not there; the message names it.
    """
    if isinstance(value, Undefined):
        raise UndefinedError(value.hint or f"{value.name} is missing", token=value.token)


def to_json_value(value: object) -> Any:
    """
    The JSON value that *value* is.

    Ranges and pairs become lists, `empty` and `blank` the empty text; numbers keep their spelling.

    Raises:
        UndefinedError: It is missing, or something within it is.
        LiquidError: It has no JSON form.
    """
    if value is None or isinstance(value, (str, bool, int, SpelledDecimal)):
        return value
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
    raise LiquidError(f"a {type(value).__name__} has no value that could be sent", token=None)


def as_text(value: object) -> str:
    """
    *value* inside text: null is empty, numbers as they are spelled, objects and lists as JSON.

    Raises:
        UndefinedError: It is missing.
        LiquidError: It has no text.
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
        LimitReachedError: There are more than a hundred thousand.
    """
    # The length of a long range does not fit what len() can say, so the ends are compared.
    if values.stop - values.start > LONGEST_LIST:
        raise LimitReachedError(f"a range may have {LONGEST_LIST:,} numbers, not more")
    return list(values)


def spelled(number: Decimal) -> SpelledDecimal:
    """
    *number* in its plain spelling (`0.3`, `100`); with an exponent where that would take over forty zeros.

    Raises:
        LiquidError: It is infinite or not a number.
    """
    if isinstance(number, SpelledDecimal):
        return number
    if not number.is_finite():
        raise LiquidError(f"{number} is no number that could be sent", token=None)
    exponent = int(number.as_tuple().exponent)
    plainly = exponent <= 40 and number.adjusted() >= -40
    return SpelledDecimal(f"{number:f}" if plainly else str(number))


def shown(value: object) -> str:
    """*value* for a message: as JSON, cut to forty characters."""
    try:
        text = write_json(to_json_value(value)).decode()
    except (LiquidError, TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def is_blank(value: object) -> bool:
    """Whether *value* is null, text of nothing but white space, or an empty list or object."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())
