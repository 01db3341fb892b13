"""
JSON values whose numbers keep their spelling.

Money and units come as `1.30` and must leave as `1.30`; a binary float would forget the zero, and worse.
Here an integer is read as `int`, any other number as `SpelledDecimal`, and both are written as they were
read. (The one spelling lost is `-0`, which is the integer 0.)

    read_json       bytes or text -> dict, list, str, int, SpelledDecimal, bool, None
    write_json      the way back
    check_json      what keeps a publisher's JSON from being stored, with the path of each fault
    read_storable   both of them at once, without the faults
    content_hash    equal for values that are equal as JSON
    place_in        the name of a place within a value: `Items[3].Name`
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Self, TypeVar

import msgspec

from learning_hub.model.clock import to_utc
from learning_hub.model.errors import FieldError, InvalidInput

V = TypeVar("V")

# The most digits Python itself reads into an int, and therefore the longest integer there is here.
MOST_DIGITS = 4300
# Credits, prices and scores come again and again; they are read once. Long numbers do not, and would fill the memory.
_MOST_REMEMBERED = 4_096
_LONGEST_REMEMBERED = 40
# Enough for any person to see what is wrong; more would only make the answer long.
MOST_FAULTS = 100
LONGEST_KEY_SHOWN = 60

_OUT_OF_RANGE = "is a number beyond the range of a double (about 1.8e308)"
# Exact for exponents of any length: an int of more than 4300 digits could not be written, and takes long to make.
_WHOLE_NUMBERS = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, InvalidOperation, OverflowError, RecursionError)
_BACKSLASH = ord("\\")
_LONG_INTEGER = re.compile(rb"[0-9]{309}")


class SpelledDecimal(Decimal):
    """
    A decimal number that is printed just as it was written: `1.30`, `1e2`.

    Equal to, hashed and calculated with as any other Decimal; what is calculated from it is a plain Decimal. One that
    is closer to 0 than a Decimal can hold counts as 0, and is printed as it was written all the same.
    """

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """
        The number that *spelling* writes in JSON.

        Raises:
            decimal.InvalidOperation: It is larger than a Decimal can hold: its exponent has more than 18 digits.
        """
        try:
            self = super().__new__(cls, spelling)
        except InvalidOperation:
            # Such an exponent leaves a double nothing but 0 or infinity.
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
    The value of a JSON text in UTF-8; of a repeated key the last counts.

    Raises:
        InvalidInput: It is not well-formed, or cannot be held (an integer of more than 4300 digits, about a
            thousand levels of nesting); code `invalid_json`, with a sentence that says what and where.
    """
    try:
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, InvalidOperation, RecursionError) as error:
        data = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        faults = _find_faults(data, "The text", error)
        raise InvalidInput(f"{faults[0].field} {faults[0].message}.", code="invalid_json") from error


def write_json(value: Any) -> bytes:
    """
    The JSON text of a value as `read_json` gives it, without spaces, keys in their order.

    Numbers are written as they were spelled. A plain Decimal or a float is not expected: make it a
    SpelledDecimal.

    Raises:
        ValueError: There is an integer of more than 4300 digits.
        TypeError: Something in it is no JSON value.
    """
    return _ENCODER.encode(value)


def check_json(raw: bytes, field: str, max_depth: int = 100) -> list[FieldError]:
    """
    What keeps a publisher's JSON text from being stored; empty when nothing does.

    Found are: what is not well-formed, invalid UTF-8, NUL and lone surrogates in strings and keys, numbers
    beyond the range of a double, and nesting past *max_depth* levels, of which *raw* itself is the first.
    What a repeated key hides is judged as well, since the text is stored as it was sent. Takes time in
    proportion to the length.

    Args:
        raw: The JSON text, in UTF-8.
        field: The name of the whole (`PublisherEventData`), with which every path begins.
        max_depth: Levels of objects and arrays allowed, 1 or more.

    Returns:
        Up to a hundred faults with their paths (`PublisherEventData.a[3].b`), in the order of the text.
    """
    try:
        value = _STORABLE_DECODER.decode(raw)
    except _UNREADABLE as error:
        return _find_faults(raw, field, error, max_depth)
    if _hides_faults(raw):
        return _find_faults(raw, field, None, max_depth)
    return [_too_deep(field, max_depth)] if _is_too_deep(raw, value, max_depth) else []


def read_storable(raw: bytes, max_depth: int = 100) -> Any:
    """What `read_json` gives, and None where `check_json` finds anything wrong or it is null; both in one reading."""
    try:
        value = _STORABLE_DECODER.decode(raw)
    except _UNREADABLE:
        return None
    # Nothing can be hidden in so few characters, and nothing be nested so deep.
    if len(raw) <= min(2 * max_depth, 308) and _BACKSLASH not in raw:
        return value
    return None if _hides_faults(raw) or _is_too_deep(raw, value, max_depth) else value


def _hides_faults(raw: bytes) -> bool:
    """Whether there may be something in a text that the decoder lets pass: NUL, or an integer beyond a double."""
    return has_nul_escape(raw) or (len(raw) > 308 and _LONG_INTEGER.search(raw) is not None)


def has_nul_escape(raw: bytes) -> bool:
    """Whether there may be a NUL in the strings of a JSON text."""
    # A single byte is looked for much faster, and most texts have no escapes at all.
    return _BACKSLASH in raw and b"\\u0000" in raw


def _is_too_deep(raw: bytes, value: Any, max_depth: int) -> bool:
    return raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(value, max_depth)


def content_hash(*parts: Any) -> bytes:
    """
    A SHA-256 that is the same for parts that are equal, one by one, as JSON values, and no others.

    Objects are equal whatever the order of their keys, numbers as exact decimals (`1.30`, `1.3` and `13e-1`;
    `1` and `1.0`; `-0` and `0`), strings to the character. True is not 1, and `"1"` is not 1. A part may also
    be an aware datetime, which counts as an instant.

    Args:
        parts: Values as `read_json` gives them (no floats), or datetimes.
    """
    instants = [to_utc(part) if isinstance(part, datetime) else part for part in parts]
    return hashlib.sha256(_CANONICAL_ENCODER.encode(instants)).digest()


def place_in(whole: str, step: str | int) -> str:
    """
    The name of the place one *step* into *whole*: `Items` and 3 give `Items[3]`, with `Name` `Items[3].Name`.

    A long key is shortened, and what cannot be printed is escaped, so that the name can stand in any answer.
    """
    if isinstance(step, int):
        return f"{whole}[{step}]"
    shown = step if len(step) <= LONGEST_KEY_SHOWN else f"{step[:LONGEST_KEY_SHOWN]}…"
    return f"{whole}.{shown}" if shown.isprintable() else f"{whole}.{shown.encode('unicode_escape').decode()}"


def _remembering(make: Callable[[str], V]) -> Callable[[str], V]:
    remembered = functools.lru_cache(maxsize=_MOST_REMEMBERED)(make)

    def made(spelling: str) -> V:
        return remembered(spelling) if len(spelling) <= _LONGEST_REMEMBERED else make(spelling)

    return made


def _spell_as_read(value: object) -> msgspec.Raw:
    if isinstance(value, SpelledDecimal):
        return msgspec.Raw(value.spelling.encode())
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _spell_canonically(value: object) -> msgspec.Raw:
    """
    The one spelling that all equal numbers share.

    Integers that Python can hold are written out, because the encoder writes an int so by itself. Made from
    the spelling, as arithmetic on Decimals would round to the precision of the context.
    """
    if not isinstance(value, SpelledDecimal):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return _canonical(value.spelling)


@_remembering
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
    if exponent >= 0 and len(significant) + exponent <= MOST_DIGITS:
        return msgspec.Raw(f"{sign}{significant}{'0' * int(exponent)}".encode())
    return msgspec.Raw(f"{sign}{significant}e{exponent:f}".encode())


@_remembering
def _spelled(spelling: str) -> SpelledDecimal:
    return SpelledDecimal(spelling)


@_remembering
def _spelled_in_range(spelling: str) -> SpelledDecimal:
    if math.isinf(float(spelling)):
        raise OverflowError
    return SpelledDecimal(spelling)


# msgspec hands the hooks what it does not know: a SpelledDecimal, since its class is not Decimal proper.
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


def _too_deep(field: str, max_depth: int) -> FieldError:
    return FieldError(field, f"is nested more than {max_depth} levels deep")


class _Spelling(str):
    """A number as it stands in the text, told from a string."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object with every one of its keys, repeated ones too."""


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is no JSON value", name, 0)


def _find_faults(raw: bytes, field: str, cause: Exception | None, max_depth: int = 1000) -> list[FieldError]:
    """
    The faults of a text, read once more by a reader that lets lone surrogates and any number pass.

    *cause* is what the strict reader said; then there is at least one fault. This reader is slower, which is
    why it is not used for what is right.
    """
    try:
        tree = json.loads(
            raw.decode(),
            parse_int=_Spelling,
            parse_float=_Spelling,
            parse_constant=_refuse_constant,
            object_pairs_hook=_Pairs,
        )
    except UnicodeDecodeError as error:
        return [FieldError(field, f"is not valid UTF-8 (byte {error.start})")]
    except RecursionError:
        return [_too_deep(field, max_depth)]
    except ValueError as error:
        return [FieldError(field, f"is not well-formed JSON: {_what_is_malformed(error, cause)}")]
    faults = list(_walk_faults(tree, field, max_depth))
    if not faults and cause:
        faults = [FieldError(field, f"cannot be read as JSON: {cause}")]
    return faults


def _what_is_malformed(error: ValueError, cause: Exception | None) -> str:
    said = str(cause)
    if said.startswith("JSON is malformed: "):
        return said.removeprefix("JSON is malformed: ")
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at character {error.pos}"
    return str(error)


# A place is kept as (place of the whole, step) and spelled out for faults only, lest depth cost its square.
_Place = tuple[Any, str | int] | None


def _walk_faults(tree: Any, field: str, max_depth: int) -> Iterator[FieldError]:
    found = 0
    waiting: list[tuple[Any, _Place, int]] = [(tree, None, 1)]
    while waiting and found < MOST_FAULTS:
        node, place, depth = waiting.pop()
        if isinstance(node, list) and depth > max_depth:
            yield _too_deep(field, max_depth)
            return
        for message in _faults_of(node):
            found += 1
            yield FieldError(_spell_place(field, place), message)
        if isinstance(node, list):
            steps = node if isinstance(node, _Pairs) else list(enumerate(node))
            waiting.extend((child, (place, step), depth + 1) for step, child in reversed(steps))


def _faults_of(node: Any) -> Iterator[str]:
    if isinstance(node, _Spelling):
        if math.isinf(float(node)):
            yield _OUT_OF_RANGE
    elif isinstance(node, str):
        yield from (f"has {what}" for what in _forbidden_in(node))
    elif isinstance(node, _Pairs):
        for what in dict.fromkeys(what for key, _ in node for what in _forbidden_in(key)):
            yield f"has a key with {what}"


def _forbidden_in(text: str) -> Iterator[str]:
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
