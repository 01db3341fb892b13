"""
JSON values whose numbers keep their spelling.

Amounts and units that arrive as `1.30` must leave as `1.30`; a binary float would lose the zero, or more. An integer is
read as `int`, any other number as `SpelledDecimal`, and both are written as they were read. (Only the spelling of `-0`
is lost: it becomes 0.)

    read_json       bytes or text -> dict, list, str, int, SpelledDecimal, bool, None
    write_json      the reverse
    check_json      the errors that prevent a publisher's JSON from being stored, each with its place
    read_storable   both at once: the value, or None when check_json would find an error
    content_hash    equal for values that are equal as JSON
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Self, TypeVar

import msgspec

from learning_hub.model.clock import to_utc
from learning_hub.model.errors import FieldError, InvalidInput
from learning_hub.model.json_errors import find_errors, too_deep

V = TypeVar("V")

# The most digits that Python reads into an int.
_MAX_INTEGER_DIGITS = 4300
# Credits, prices and scores repeat, so their numbers are cached. Long numbers do not, and would fill the memory.
_MAX_CACHED = 4_096
_MAX_CACHED_CHARACTERS = 40

# Exact for exponents of any length: an int of more than 4300 digits cannot be written, and takes long to compute.
_WHOLE_NUMBERS = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, InvalidOperation, OverflowError, RecursionError)
_BACKSLASH = ord("\\")
_LONG_INTEGER = re.compile(rb"[0-9]{309}")


class SpelledDecimal(Decimal):
    """
    A decimal number that keeps its spelling: `1.30`, `1e2`.

    It compares, hashes and calculates as any other Decimal, and results of calculations are plain Decimals. A number
    closer to 0 than a Decimal can hold equals 0, and still keeps its spelling.
    """

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """
        The number with a JSON *spelling*.

        Raises:
            decimal.InvalidOperation: The number is larger than a Decimal can hold: its exponent has more than 18
                digits.
        """
        try:
            self = super().__new__(cls, spelling)
        except InvalidOperation:
            # As a double, a number with such an exponent is either 0 or infinity.
            if float(spelling):
                raise
            self = super().__new__(cls, 0)
        self.spelling = spelling
        return self

    def __str__(self) -> str:
        return self.spelling

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.spelling,)


def read_json(raw: bytes | str) -> Any:
    """
    The value of a JSON text in UTF-8. The last value of a repeated key counts.

    Raises:
        InvalidInput: The text is not well-formed or exceeds a limit (integers of 4300 digits, about a thousand levels
            of nesting); code `invalid_json`, with a sentence that names the error and its place.
    """
    try:
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, InvalidOperation, RecursionError) as error:
        data = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        first = find_errors(data, "The text", error)[0]
        raise InvalidInput(f"{first.field} {first.message}.", code="invalid_json") from error


def write_json(value: Any) -> bytes:
    """
    The JSON text of a value as `read_json` gives it, without spaces, keys in their order.

    Numbers keep their spelling. A plain Decimal or a float must be made a SpelledDecimal first.

    Raises:
        ValueError: An integer has more than 4300 digits.
        TypeError: A value inside it is not a JSON value.
    """
    return _ENCODER.encode(value)


def check_json(raw: bytes, field: str, max_depth: int = 100) -> list[FieldError]:
    """
    The errors that prevent a publisher's JSON text from being stored; empty when it has none.

    Errors are malformed JSON, invalid UTF-8, NUL and lone surrogates in strings and keys, numbers beyond the range of a
    double, and nesting past *max_depth* levels, of which *raw* itself is the first. The text is stored as it was sent,
    so all values of a repeated key are checked. The time is proportional to the length.

    Args:
        raw: The JSON text, in UTF-8.
        field: The name of the whole text (`PublisherEventData`), with which all places begin.
        max_depth: Levels of objects and arrays allowed, 1 or more.

    Returns:
        Up to a hundred errors with their places (`PublisherEventData.a[3].b`), in the order of the text.
    """
    try:
        value = _STORABLE_DECODER.decode(raw)
    except _UNREADABLE as error:
        return find_errors(raw, field, error, max_depth)
    if _may_hide_errors(raw):
        return find_errors(raw, field, None, max_depth)
    return [too_deep(field, max_depth)] if _is_too_deep(raw, value, max_depth) else []


def read_storable(raw: bytes, max_depth: int = 100) -> Any:
    """The value as `read_json` gives it; None when `check_json` would find an error, or for null."""
    try:
        value = _STORABLE_DECODER.decode(raw)
    except _UNREADABLE:
        return None
    # So short a text can neither hide an error nor nest so deep.
    if len(raw) <= min(2 * max_depth, 308) and _BACKSLASH not in raw:
        return value
    return None if _may_hide_errors(raw) or _is_too_deep(raw, value, max_depth) else value


def _may_hide_errors(raw: bytes) -> bool:
    """Whether a text can have an error that the decoder accepts: NUL, or an integer beyond the range of a double."""
    return has_nul_escape(raw) or (len(raw) > 308 and _LONG_INTEGER.search(raw) is not None)


def has_nul_escape(raw: bytes) -> bool:
    """Whether the strings of a JSON text can contain NUL."""
    # The search for a single byte is much faster, and most texts have no escapes.
    return _BACKSLASH in raw and b"\\u0000" in raw


def _is_too_deep(raw: bytes, value: Any, max_depth: int) -> bool:
    return raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(value, max_depth)


def content_hash(*parts: Any) -> bytes:
    """
    A SHA-256 that is the same for parts that are equal, one by one, as JSON values, and differs for all others.

    Objects are equal whatever the order of their keys, numbers as exact decimals (`1.30`, `1.3` and `13e-1`; `1` and
    `1.0`; `-0` and `0`), strings to the character. True is not 1, and `"1"` is not 1. A part may also be an aware
    datetime, which counts as an instant.

    Args:
        parts: Values as `read_json` gives them (no floats), or datetimes.
    """
    instants = [to_utc(part) if isinstance(part, datetime) and part.tzinfo is not UTC else part for part in parts]
    return hashlib.sha256(_CANONICAL_ENCODER.encode(instants)).digest()


def _cached(make: Callable[[str], V]) -> Callable[[str], V]:
    cached = functools.lru_cache(maxsize=_MAX_CACHED)(make)

    def made(spelling: str) -> V:
        return cached(spelling) if len(spelling) <= _MAX_CACHED_CHARACTERS else make(spelling)

    return made


def _spell_as_read(value: object) -> msgspec.Raw:
    if isinstance(value, SpelledDecimal):
        return msgspec.Raw(value.spelling.encode())
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _spell_canonically(value: object) -> msgspec.Raw:
    """
    The spelling that all equal numbers share.

    Integers that Python can hold are written out, as the encoder writes an int. The result is computed from the
    spelling, because arithmetic on Decimals rounds to the precision of the context.
    """
    if not isinstance(value, SpelledDecimal):
        raise TypeError(f"{type(value).__name__} is not a JSON value")
    return _canonical(value.spelling)


@_cached
def _canonical(spelling: str) -> msgspec.Raw:
    mantissa, _, exponent_digits = spelling.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return msgspec.Raw(b"0")
    shift = len(digits) - len(significant) - len(fraction)
    exponent = _WHOLE_NUMBERS.add(Decimal(exponent_digits or "0"), shift)
    if exponent >= 0 and len(significant) + exponent <= _MAX_INTEGER_DIGITS:
        return msgspec.Raw(f"{sign}{significant}{'0' * int(exponent)}".encode())
    return msgspec.Raw(f"{sign}{significant}e{exponent:f}".encode())


@_cached
def _spelled(spelling: str) -> SpelledDecimal:
    return SpelledDecimal(spelling)


@_cached
def _spelled_in_range(spelling: str) -> SpelledDecimal:
    if math.isinf(float(spelling)):
        raise OverflowError
    return SpelledDecimal(spelling)


# msgspec passes a SpelledDecimal to the hooks, because it knows Decimal and not its subclasses.
_DECODER = msgspec.json.Decoder(float_hook=_spelled)
_STORABLE_DECODER = msgspec.json.Decoder(float_hook=_spelled_in_range)
_ENCODER = msgspec.json.Encoder(enc_hook=_spell_as_read, decimal_format="number")
_CANONICAL_ENCODER = msgspec.json.Encoder(enc_hook=_spell_canonically, decimal_format="number", order="sorted")


def _is_deeper(value: Any, max_depth: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(max_depth):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
