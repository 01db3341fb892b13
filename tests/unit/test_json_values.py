"""JSON values keep their numbers' spelling, are checked before they are stored, and compared exactly."""

from __future__ import annotations

import copy
import json
import pickle
import time
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import InvalidInput
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import (
    SpelledDecimal,
    check_json,
    content_hash,
    read_json,
    read_storable,
    write_json,
)

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def spell(value: Any) -> str:
    """The JSON text of a value in which numbers are tuples of one spelling."""
    if isinstance(value, tuple):
        return str(value[0])
    if isinstance(value, list):
        return f"[{','.join(map(spell, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{spell(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


SPELLED = st.recursive(
    st.none() | st.booleans() | TEXTS | st.tuples(NUMBERS.filter(lambda number: number != "-0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
).map(spell)


def are_equal(a: str, b: str) -> bool:
    return content_hash(read_json(a)) == content_hash(read_json(b))


@given(SPELLED)
def test_numbers_come_back_as_they_were_spelled(text: str) -> None:
    """A text that is read and written again differs only in the escapes of its strings."""
    written = write_json(read_json(text)).decode()

    assert spell(json.loads(text, parse_int=lambda n: (n,), parse_float=lambda n: (n,))) == spell(
        json.loads(written, parse_int=lambda n: (n,), parse_float=lambda n: (n,))
    )


def test_a_decimal_is_a_number_and_its_text_its_spelling() -> None:
    """1.30 equals 1.3, hashes as it, and is written 1.30, also after copying and pickling."""
    number = read_json("1.30")

    assert (number, hash(number), str(number)) == (Decimal("1.3"), hash(Decimal("1.3")), "1.30")
    assert [str(copy.deepcopy(number)), str(pickle.loads(pickle.dumps(number)))] == ["1.30", "1.30"]


@pytest.mark.parametrize("spelling", ["0e999999999999999999999", "1e-999999999999999999999", "-0.5E-" + "9" * 5000])
def test_what_is_closer_to_zero_than_can_be_held_counts_as_zero(spelling: str) -> None:
    """A number that underflows, or is 0 with any exponent, is 0 to calculate with and keeps its spelling."""
    number = read_json(spelling)

    assert number == 0
    assert write_json([number, copy.deepcopy(number)]).decode() == f"[{spelling},{spelling}]"


def test_integers_of_any_length_are_kept() -> None:
    """An integer of three hundred digits is read and written as it is."""
    text = "9" * 300

    assert read_json(text) == int(text)
    assert write_json(read_json(text)) == text.encode()


def test_of_a_repeated_key_the_last_counts() -> None:
    """The last value of a repeated key counts."""
    assert read_json('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "NaN", '"\\ud800"', "9" * 5000, "[" * 5000, "\ud800", b"\xff", "1e" + "9" * 30]
)
def test_what_cannot_be_read_is_one_kind_of_error(text: str | bytes) -> None:
    """Reading a text with any error raises InvalidInput with the code invalid_json."""
    with pytest.raises(InvalidInput) as caught:
        read_json(text)

    assert caught.value.code == "invalid_json"


def test_what_is_no_json_value_is_not_written() -> None:
    """A Python value that is not a JSON value is rejected."""
    with pytest.raises(TypeError):
        write_json({"a": object()})


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        (b'{"a":[1,2,3,{"b":"x\\u0000"}]}', "D.a[3].b", "has a NUL character"),
        (b'{"a\\u0000":1}', "D", "has a key with a NUL character"),
        (b'{"a":"\\ud800"}', "D.a", "has a lone surrogate (half of a UTF-16 pair)"),
        (b'{"a":"\\udc00 x"}', "D.a", "has a lone surrogate (half of a UTF-16 pair)"),
        (b'{"x":{"\\ud800":1}}', "D.x", "has a key with a lone surrogate (half of a UTF-16 pair)"),
        (b'{"a":1e400}', "D.a", "is a number beyond the range of a double (about 1.8e308)"),
        (b'{"a":-1e999}', "D.a", "is a number beyond the range of a double (about 1.8e308)"),
        (b'{"a":' + b"9" * 400 + b"}", "D.a", "is a number beyond the range of a double (about 1.8e308)"),
        (b"[" + b"9" * 5000 + b"]", "D[0]", "is a number beyond the range of a double (about 1.8e308)"),
        (b'{"a":"\\u0000","a":1}', "D.a", "has a NUL character"),
        (b'"\xff"', "D", "is not valid UTF-8 (byte 1)"),
        (b'"\xed\xa0\x80"', "D", "is not valid UTF-8 (byte 1)"),
        (b"[1,]", "D", "is not well-formed JSON: trailing comma in array (byte 3)"),
        (b"", "D", "is not well-formed JSON: expecting value at character 0"),
        (b"[" * 101 + b"]" * 101, "D", "is nested more than 100 levels deep"),
        (b"[" * 100_000, "D", "is nested more than 100 levels deep"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "D", "is nested more than 100 levels deep"),
    ],
)
def test_what_must_not_be_stored_is_named(raw: bytes, field: str, message: str) -> None:
    """Each error has its place and its message, and `read_storable` gives None."""
    errors = check_json(raw, "D")

    assert [(field, message)] == [(error.field, error.message) for error in errors]
    assert read_storable(raw) is None


def test_all_faults_are_named_at_once() -> None:
    """Errors of different kinds are listed together, in the order of the text."""
    errors = check_json(b'{"a":1e400,"b":["\\u0000","\\ud800"],"c":{"\\u0000\\ud800":1}}', "D")

    assert [error.field for error in errors] == ["D.a", "D.b[0]", "D.b[1]", "D.c", "D.c"]


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100 + b"]" * 100,
        b'"\\ud83d\\ude00"',
        b'"\\\\u0000"',
        b"1" + b"0" * 308,
        b"1e-999999999",
        b'{"a":0e999999999999999999999,"b":-0.00e-999999999999999999999,"c":1e-999999999999999999999}',
        b"1.7976931348623157e308",
        b"1" + b"0" * 400 + b"e-400",
        b'{"a":[[],[],{}],"b":[[1],[2]]}',
    ],
)
def test_what_may_be_stored_passes(raw: bytes) -> None:
    """A hundred levels, escaped backslashes, real pairs and the largest double are no errors."""
    assert check_json(raw, "D") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 340_000 + b"1]",
        b"[" + b"1e400," * 170_000 + b"1]",
        b"{" + b'"a":"\\u0000",' * 70_000 + b'"b":1}',
        b'"' + b"\\ud800" * 170_000 + b'"',
        b'"' + b'\\"' * 500_000,
        b"[" * 90 + b'"\\u0000",' * 100_000 + b"1" + b"]" * 90,
        b"9" * 1_000_000,
        b"0." + b"9" * 1_000_000,
        b"1e-" + b"9" * 1_000_000,
        b'{"' + b"k" * 1_000_000 + b'":"\\u0000"}',
    ],
)
def test_a_mebibyte_is_checked_quickly(raw: bytes) -> None:
    """No megabyte of JSON, however it is made, takes more than a moment."""
    started = time.process_time()

    check_json(raw, "D")

    assert time.process_time() - started < 2


@given(st.binary(max_size=60) | SPELLED.map(str.encode) | SPELLED.map(lambda text: f'{{"a": {text}}}'.encode()))
def test_checked_and_read_at_once(raw: bytes) -> None:
    """`read_storable` gives the same value as `read_json`, or None when `check_json` finds an error."""
    value = read_storable(raw)
    if check_json(raw, "data"):
        assert value is None
    else:
        assert write_json(value) == write_json(read_json(raw))


@given(st.binary(max_size=60) | SPELLED.map(str.encode))
def test_checking_never_raises(raw: bytes) -> None:
    """Any bytes give a list of errors, and a text without errors can be read."""
    if not check_json(raw, "D"):
        read_json(raw)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1.30", "1.3"),
        ("1.3", "13e-1"),
        ("1", "1.0"),
        ("-0", "0"),
        ("-0.0", "0e5"),
        ("1e300", "1" + "0" * 300),
        ("1e5000", "10e4999"),
        ("0e999999999999999999999", "0"),
        ("1e-" + "9" * 5000, "10e-1" + "0" * 5000),
        ('{"a":1,"b":2}', '{"b":2.0,"a":1e0}'),
        ("0.1234567890123456789012345678901234567890", "0.12345678901234567890123456789012345678900"),
        ('"\\u00e9"', '"é"'),
    ],
)
def test_equal_values_have_one_hash(a: str, b: str) -> None:
    """Spelling and the order of keys do not count."""
    assert are_equal(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("true", "1"),
        ('"1"', "1"),
        ("null", "false"),
        ("[1,2]", "[2,1]"),
        ("[[1],2]", "[1,[2]]"),
        ("{}", "[]"),
        ('""', "null"),
        ("1e-999999999", "0"),
        ("1e-999999999999999999999", "0"),
        ("1e-999999999999999999999", "1e-999999999999999999998"),
        ("1.0000000000000000000000000000000001", "1"),
        ("100000000000000000000000000000001", "100000000000000000000000000000000"),
        ('"é"', '"e\\u0301"'),
        ('{"a":null}', "{}"),
    ],
)
def test_different_values_have_different_hashes(a: str, b: str) -> None:
    """Type, order within arrays, and every digit count."""
    assert not are_equal(a, b)


@given(NUMBERS, NUMBERS)
def test_numbers_are_compared_exactly(a: str, b: str) -> None:
    """Two numbers have one hash exactly if they are the same fraction."""
    assert are_equal(a, b) == (Fraction(a) == Fraction(b))


def _marked(value: Any) -> Any:
    """*value* with something that keeps true from being 1."""
    if isinstance(value, dict):
        return {key: _marked(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return ("b", value) if isinstance(value, bool) else value


@given(SPELLED, SPELLED)
def test_hashes_agree_with_equality(a: str, b: str) -> None:
    """Two JSON texts have one hash exactly if their values are equal."""

    def exactly(text: str) -> Any:
        return _marked(
            json.loads(text, parse_int=lambda n: ("n", Fraction(n)), parse_float=lambda n: ("n", Fraction(n)))
        )

    assert are_equal(a, b) == (exactly(a) == exactly(b))


def test_parts_are_not_run_together() -> None:
    """The same words split differently over the parts give different hashes."""
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash(["a"], "b") != content_hash("a", ["b"])


def test_times_are_compared_as_instants() -> None:
    """A time and the same instant at another offset have one hash."""
    utc = datetime(2031, 3, 14, 15, tzinfo=UTC)

    assert content_hash(utc) == content_hash(utc.astimezone(timezone(timedelta(hours=-5))))
    assert content_hash(utc) != content_hash(utc + timedelta(microseconds=1))


def test_hashing_large_exponents_takes_no_room() -> None:
    """An exponent of a billion costs no more than its digits."""
    started = time.process_time()

    content_hash([SpelledDecimal("1e999999999"), SpelledDecimal("1e-999999999999")])

    assert time.process_time() - started < 0.1


def test_places_can_stand_in_any_answer() -> None:
    """Long keys are cut and what cannot be printed is escaped."""
    assert place_in("Items", 3) == "Items[3]"
    assert place_in("Items[3]", "Course Name") == "Items[3].Course Name"
    assert place_in("D", "a\0\ud800") == "D.a\\x00\\ud800"
    assert len(place_in("D", "k" * 1000)) < 70


def test_long_numbers_are_not_kept() -> None:
    """Numbers of any length that never come again do not fill the memory."""
    tracemalloc.start()
    try:
        for n in range(40):
            raw = b"[%d.%s]" % (n, b"1" * 100_000)
            assert not check_json(raw, "data")
            content_hash(read_json(raw))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000
