"""
Filters that calculate, with decimals and never with binary floats.

A result is an `int` when all numbers of a calculation are whole, else a Decimal. Sums and products are exact. A
quotient with endless digits is rounded to 28 digits, half to even.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Any

from learning_hub.model.json_values import SpelledDecimal
from learning_hub.rendering.values import as_text, filter_error, shown, spelled

Number = int | Decimal

# Enough digits for the exact sum of the largest and the smallest double.
_EXACT = Context(prec=1100, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])
_ROUNDING = Context(prec=1100, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, Overflow])
_QUOTIENT = Context(prec=28, traps=[InvalidOperation, Overflow])

# Digits before the point of the largest double; JSON readers reject more.
_MAX_DIGITS = 309
_TOO_LARGE = 10**_MAX_DIGITS
_MAX_PLACES = 100

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")


def number_in(text: str) -> Number | None:
    """
    *text* as a number, None if it is not a number.

    White space around the number is ignored. `12` is an int, `1.30` a decimal that keeps its spelling. Text with
    thousands separators or currency signs is not a number, because guessing their meaning would change amounts.
    """
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    return SpelledDecimal(text) if _JSON_NUMBER.fullmatch(text) else spelled(Decimal(text))


def number_of(value: object, filter_name: str) -> Number:
    """
    *value*, a number or text, as a number.

    Raises:
        FilterArgumentError: *value* is not a number; true and false are not numbers.
    """
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return value
    number = number_in(value) if isinstance(value, str) else None
    if number is None:
        raise filter_error(f"{filter_name} needs a number and got {shown(value)}")
    return number


def plus(left: object, right: object) -> Number:
    """The exact sum."""
    a, b = number_of(left, "plus"), number_of(right, "plus")
    return _bounded(a + b if _are_whole(a, b) else _exactly(_EXACT.add, a, b))


def minus(left: object, right: object) -> Number:
    """The exact difference."""
    a, b = number_of(left, "minus"), number_of(right, "minus")
    return _bounded(a - b if _are_whole(a, b) else _exactly(_EXACT.subtract, a, b))


def times(left: object, right: object) -> Number:
    """The exact product."""
    a, b = number_of(left, "times"), number_of(right, "times")
    return _bounded(a * b if _are_whole(a, b) else _exactly(_EXACT.multiply, a, b))


def divided_by(left: object, right: object) -> Number:
    """The quotient as a decimal, or for two whole numbers rounded down to a whole number, as everywhere in Liquid."""
    a, b = number_of(left, "divided_by"), number_of(right, "divided_by")
    if b == 0:
        raise filter_error("divided_by cannot divide by 0")
    return _bounded(a // b if isinstance(a, int) and isinstance(b, int) else _exactly(_QUOTIENT.divide, a, b))


def modulo(left: object, right: object) -> Number:
    """The remainder, with the sign of the divisor."""
    a, b = number_of(left, "modulo"), number_of(right, "modulo")
    if b == 0:
        raise filter_error("modulo cannot divide by 0")
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    rest = _exactly(_EXACT.remainder, a, b)
    return _bounded(_exactly(_EXACT.add, rest, b) if rest and (rest < 0) != (b < 0) else rest)


def absolute(left: object) -> Number:
    """The absolute value."""
    number = number_of(left, "abs")
    if number >= 0:
        return number
    return -number if isinstance(number, int) else spelled(number.copy_negate())


def at_least(left: object, right: object) -> Number:
    """The larger of the two, as it was spelled."""
    return max(number_of(left, "at_least"), number_of(right, "at_least"))


def at_most(left: object, right: object) -> Number:
    """The smaller of the two, as it was spelled."""
    return min(number_of(left, "at_most"), number_of(right, "at_most"))


def ceil(left: object) -> int:
    """The number rounded up to a whole number."""
    return _to_whole(number_of(left, "ceil"), ROUND_CEILING, "ceil")


def floor(left: object) -> int:
    """The number rounded down to a whole number."""
    return _to_whole(number_of(left, "floor"), ROUND_FLOOR, "floor")


def round_(left: object, places: object = 0) -> Number:
    """
    The number rounded to *places* after the point, halves away from zero.

    With 0 places or fewer, the result is a whole number. A whole number does not change.
    """
    number = number_of(left, "round")
    digits = _places(places, "round")
    if digits > 0:
        return number if isinstance(number, int) else round_to(number, digits, "round")
    if digits == 0:
        return _to_whole(number, ROUND_HALF_UP, "round")
    shifted = _exactly(_EXACT.scaleb, number, digits)
    return times(_to_whole(shifted, ROUND_HALF_UP, "round"), int(10**-digits))


def sum_(left: object, key: object = None) -> Number:
    """The exact sum of a list, or of the values of *key* in its objects; an item that is not a number is an error."""
    total: Number = 0
    key = None if key is None else as_text(key)
    for item in left if isinstance(left, (list, tuple)) else [left]:
        if key is None:
            total = plus(total, sum_(item) if isinstance(item, (list, tuple)) else number_of(item, "sum"))
        elif isinstance(item, dict) and key in item:
            total = plus(total, number_of(item[key], "sum"))
        else:
            raise filter_error(f"sum finds no {shown(key)} in {shown(item)}")
    return total


def to_decimal(number: Number, places: object, filter_name: str) -> SpelledDecimal:
    """*number* as a decimal, rounded to *places* after the point, halves away from zero; None does not round."""
    if places is not None:
        return round_to(Decimal(number), _places(places, filter_name), filter_name)
    return number if isinstance(number, SpelledDecimal) else spelled(Decimal(number))


def to_integer(number: Number, filter_name: str) -> int:
    """
    *number* as a whole number.

    Raises:
        FilterArgumentError: *number* has a fraction, or is too large.
    """
    whole = _to_whole(number, ROUND_HALF_UP, filter_name)
    if whole != number:
        raise filter_error(f"{filter_name} needs a whole number and got {shown(number)}")
    return whole


def round_to(number: Decimal, places: int, filter_name: str) -> SpelledDecimal:
    """*number* with exactly *places* digits after the point, halves away from zero."""
    try:
        return spelled(number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _ROUNDING))
    except (InvalidOperation, Overflow) as error:
        raise filter_error(f"{filter_name} cannot round {shown(number)}") from error


def _places(value: object, filter_name: str) -> int:
    places = number_of(value, filter_name)
    if not -_MAX_PLACES <= places <= _MAX_PLACES or places != int(places):
        raise filter_error(f"{filter_name} needs a number of places up to {_MAX_PLACES} and got {shown(value)}")
    return int(places)


def _are_whole(a: Number, b: Number) -> bool:
    return isinstance(a, int) and isinstance(b, int)


def _exactly(operation: Callable[[Any, Any], Decimal], a: Number, b: Number) -> Decimal:
    try:
        return operation(Decimal(a), Decimal(b))
    except (Inexact, InvalidOperation, Overflow) as error:
        raise filter_error(f"the result of {shown(a)} and {shown(b)} has too many digits") from error


def _bounded(number: Number) -> Number:
    """*number*, or an error when it exceeds every double; repeated squaring would otherwise fill the memory."""
    if isinstance(number, int):
        if -_TOO_LARGE < number < _TOO_LARGE:
            return number
    elif number.adjusted() < _MAX_DIGITS:
        return spelled(number)
    raise filter_error("the number grew beyond the range of a double (about 1.8e308)")


def _to_whole(number: Number, rounding: str, filter_name: str) -> int:
    if isinstance(number, int):
        return number
    if number.adjusted() >= _MAX_DIGITS:
        raise filter_error(f"{filter_name} cannot round {shown(number)}: it is too large")
    return int(number.to_integral_value(rounding))
