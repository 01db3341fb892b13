"""Filters calculate with decimals, convert values to a type or give an error, and read and write times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import TemplateError
from learning_hub.model.json_values import read_json
from learning_hub.rendering.compiler import compile_templates

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?", fullmatch=True)
NO_TIME_ZONE = "is not an IANA time zone such as America/New_York"


def value_of(leaf: str, data: str = "{}", time_zone: str | None = "America/New_York") -> str:
    """The value of a leaf, as JSON text."""
    compiled = compile_templates(json.dumps({"_default": {"x": leaf}}))
    _, payload = compiled.render(None, {"data": read_json(data)}, time_zone)
    return payload.decode().removeprefix('{"x":').removesuffix("}")


def message_of(leaf: str, data: str = "{}") -> str:
    with pytest.raises(TemplateError) as caught:
        value_of(leaf, data)
    assert caught.value.place == "_default.x"
    return caught.value.message


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ 0.1 | plus: 0.2 }}", "0.3"),
        ("{{ '1.30' | plus: 0 }}", "1.30"),
        ("{{ 5 | plus: '3' }}", "8"),
        ("{{ 5 | plus: 3.00 }}", "8.00"),
        ("{{ 5 | minus: 7.5 }}", "-2.5"),
        ("{{ '1.30' | times: 2 }}", "2.60"),
        ("{{ 7 | divided_by: 2 }}", "3"),
        ("{{ -7 | divided_by: 2 }}", "-4"),
        ("{{ 7.0 | divided_by: 2 }}", "3.5"),
        ("{{ 10.0 | divided_by: 3 }}", "3.333333333333333333333333333"),
        ("{{ 7 | modulo: 3 }}", "1"),
        ("{{ -7.5 | modulo: 2 }}", "0.5"),
        ("{{ -1.30 | abs }}", "1.30"),
        ("{{ 1.2 | ceil }}", "2"),
        ("{{ -1.2 | floor }}", "-2"),
        ("{{ 2.5 | round }}", "3"),
        ("{{ -2.5 | round }}", "-3"),
        ("{{ 1.005 | round: 2 }}", "1.01"),
        ("{{ 5 | round: 2 }}", "5"),
        ("{{ 1250 | round: -2 }}", "1300"),
        ("{{ 1.30 | at_least: 1.3 }}", "1.30"),
        ("{{ 1.30 | at_most: 1 }}", "1"),
        ("{{ data.l | sum }}", "4.80"),
        ("{{ data.o | sum: 'u' }}", "0.3"),
        ("{{ data.tiny | plus: data.huge | minus: data.huge }}", "1E-300"),
        ("{{ data.big | plus: 1 }}", "123456789012345678901234567891"),
    ],
)
def test_arithmetic_is_decimal_and_exact(leaf: str, value: str) -> None:
    """Sums and products are exact decimals; two whole numbers divide as whole numbers; halves round away from zero."""
    data = """{"l": [1, "2.50", [1.30]], "o": [{"u": 0.1}, {"u": 0.2}], "tiny": 1e-300, "huge": 1e300,
               "big": 123456789012345678901234567890}"""

    assert value_of(leaf, data) == value


@given(NUMBERS, NUMBERS)
def test_sums_differences_and_products_are_exact(a: str, b: str) -> None:
    """The sum, difference and product of any two numbers is exact."""
    data = f'{{"a":{a},"b":{b}}}'

    assert Fraction(value_of("{{ data.a | plus: data.b }}", data)) == Fraction(a) + Fraction(b)
    assert Fraction(value_of("{{ data.a | minus: data.b }}", data)) == Fraction(a) - Fraction(b)
    assert Fraction(value_of("{{ data.a | times: data.b }}", data)) == Fraction(a) * Fraction(b)


@pytest.mark.parametrize("name", ["plus: 1", "minus: 1", "times: 1", "divided_by: 1", "modulo: 1", "abs", "ceil",
                                  "floor", "round", "at_least: 1", "at_most: 1", "sum"])  # fmt: skip
@pytest.mark.parametrize("value", ['"abc"', "null", "true", '""', '{"a":1}', '"1,000"', '"1_0"', '"NaN"', '"\u0661"'])
def test_what_is_no_number_is_an_error_and_no_zero(name: str, value: str) -> None:
    """A calculation with a value that is not a number is an error that names the filter and the value."""
    assert f"{name.split(':', maxsplit=1)[0]} needs a number and got" in message_of(
        f"{{{{ data.x | {name} }}}}", f'{{"x":{value}}}'
    )


def test_division_by_zero_is_an_error() -> None:
    """A division by zero is an error."""
    assert message_of("{{ 1.5 | divided_by: 0 }}") == "divided_by cannot divide by 0"
    assert message_of("{{ 1 | modulo: 0.0 }}") == "modulo cannot divide by 0"


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ '1.30' | decimal }}", "1.30"),
        ("{{ ' 1e2 ' | decimal }}", "1e2"),
        ("{{ '+.5' | decimal }}", "0.5"),
        ("{{ '007.50' | decimal }}", "7.50"),
        ("{{ 5 | decimal }}", "5"),
        ("{{ '1.005' | decimal: 2 }}", "1.01"),
        ("{{ -1.005 | decimal: 2 }}", "-1.01"),
        ("{{ 5 | decimal: 2 }}", "5.00"),
        ("{{ '12.0' | integer }}", "12"),
        ("{{ '1e2' | integer }}", "100"),
        ("{{ 'Yes' | boolean }}", "true"),
        ("{{ 0 | boolean }}", "false"),
        ("{{ false | boolean }}", "false"),
        ("{{ 'abc' | text: 2 }}", '"ab"'),
        ("{{ 'abc' | text: 3 }}", '"abc"'),
        ("{{ 1.30 | text }}", '"1.30"'),
        ("{{ true | text: 80 }}", '"true"'),
        ("{{ ' ' | blank_to_null }}", "null"),
        ("{{ 0 | blank_to_null }}", "0"),
        ("{{ false | must_have }}", "false"),
        ("{{ '' | blank_to_null | decimal }}", "null"),
    ],
)
def test_typed_filters_read(leaf: str, value: str) -> None:
    """A typed filter gives a value of its type, in its own spelling."""
    assert value_of(leaf) == value


@pytest.mark.parametrize(
    "name",
    ["decimal", "integer", "boolean", "text: 80", "date", "in_zone: 'UTC'", "imis_datetime", "blank_to_null"],
)
def test_null_passes_through_typed_filters(name: str) -> None:
    """Typed filters return null for null, to clear the field at the subscriber."""
    assert value_of(f"{{{{ nil | {name} }}}}") == "null"


@pytest.mark.parametrize("name", ["decimal", "integer", "boolean", "date", "in_zone: 'UTC'", "imis_datetime"])
def test_blank_text_is_an_error_that_knows_a_way_out(name: str) -> None:
    """A typed filter rejects blank text, and the error says what to write for null."""
    assert "put blank_to_null before it" in message_of(f"{{{{ ' ' | {name} }}}}")


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("{{ 'abc' | decimal }}", 'decimal needs a number and got "abc"'),
        ("{{ '12.5' | integer }}", "integer needs a whole number and got 12.5"),
        ("{{ 'maybe' | boolean }}", 'boolean needs true or false and got "maybe"'),
        ("{{ 2 | boolean }}", "boolean needs true or false and got 2"),
        ("{{ true | decimal }}", "decimal needs a number and got true"),
        ("{{ nil | must_have }}", "must_have needs a value and got null"),
        ("{{ '  ' | must_have }}", 'must_have needs a value and got "  "'),
        ("{{ 'x' | in_zone: 'Nope/City' }}", '"Nope/City" is not an IANA time zone such as America/New_York'),
        (
            "{{ 'x' | in_zone: '../../etc/passwd' }}",
            '"../../etc/passwd" is not an IANA time zone such as America/New_York',
        ),
        (
            "{{ '8/3/2024' | date }}",
            'date needs a date or time such as 2031-03-14T15:20:00Z and got "8/3/2024"',
        ),
        (
            "{{ 20240803 | imis_datetime }}",
            "imis_datetime needs a date or time such as 2031-03-14T15:20:00Z and got 20240803",
        ),
        ("{{ '2024-08-03' | date: '%Q' }}", "date has no directive %Q"),
    ],
)
def test_typed_filters_refuse_what_they_cannot_read(leaf: str, message: str) -> None:
    """The error of a filter names the filter and its input."""
    assert message_of(leaf) == message


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("{{ data.o | sort: 'k' }}", 'sort: "k" cannot work with [{"k":1},{"k":null}]'),
        ("{{ data.l | sort }}", 'sort cannot work with [1,"a",null]'),
        ("{{ data.l | where: 'k' }}", 'where: "k" cannot work with [1,"a",null]'),
        ("{{ data.o | sum: data.x }}", 'sum finds no "{\\"a\\":1}" in {"k":1}'),
        ("{{ data.l | concat: 'k' }}", 'concat: "k" cannot work with [1,"a",null]'),
        ("{{ '/w==' | base64_decode }}", 'base64_decode cannot work with "/w=="'),
        ("{{ 'abc' | slice: nil }}", 'slice: null cannot work with "abc"'),
        ("{% if data.l < 3 %}{% endif %}", "'<' and '>' are not supported between a list and a number"),
        ("{% if 'a' < data.x %}{% endif %}", "'<' and '>' are not supported between text and an object"),
        ("{% for i in data.l limit: data.x %}{% endfor %}", "expected an integer, found an object"),
        (
            "{% if data.x contains data.l %}{% endif %}",
            "cannot be evaluated: a filter or a comparison got a value that it cannot work with",
        ),
    ],
)
def test_errors_are_no_words_of_python(leaf: str, message: str) -> None:
    """Errors of standard filters and comparisons use the words of templates, not of Python."""
    assert message_of(leaf, '{"l": [1, "a", null], "o": [{"k": 1}, {"k": null}], "x": {"a": 1}}') == message


def test_what_an_error_shows_is_short() -> None:
    """A long input is cut to forty characters in the message."""
    assert message_of("{{ data.x | decimal }}", json.dumps({"x": "y" * 5000})) == (
        f'decimal needs a number and got "{"y" * 39}…'
    )


@pytest.mark.parametrize(
    ("time", "written"),
    [
        ("2024-08-03T21:43:58Z", "2024-08-03 17:43:58.000"),
        ("2024-01-03T21:43:58Z", "2024-01-03 16:43:58.000"),
        ("2024-08-03T21:43:58", "2024-08-03 17:43:58.000"),
        ("2024-08-03T23:43:58+02:00", "2024-08-03 17:43:58.000"),
        ("2024-08-03 21:43:58.9999", "2024-08-03 17:43:58.999"),
        ("2024-08-03t21:43:58.5z", "2024-08-03 17:43:58.500"),
        ("2024-08-03", "2024-08-03 00:00:00.000"),
        # The leap second of 2016, as it is written in UTC, in New York and without an offset.
        ("2016-12-31T23:59:60Z", "2016-12-31 18:59:59.999"),
        ("2016-12-31T18:59:60.5-05:00", "2016-12-31 18:59:59.999"),
        ("2016-12-31 23:59:60", "2016-12-31 18:59:59.999"),
        # The last second before summer time and the first of it; then the hour that comes twice, and what follows it.
        ("2024-03-10T06:59:59Z", "2024-03-10 01:59:59.000"),
        ("2024-03-10T07:00:00Z", "2024-03-10 03:00:00.000"),
        ("2024-11-03T05:30:00Z", "2024-11-03 01:30:00.000"),
        ("2024-11-03T06:30:00Z", "2024-11-03 01:30:00.000"),
        ("2024-11-03T07:00:00Z", "2024-11-03 02:00:00.000"),
        ("0212-01-02", "0212-01-02 00:00:00.000"),
        # Midnight without an offset is a date; with an offset, or a moment later, it is a time.
        ("2026-11-20T00:00:00", "2026-11-20 00:00:00.000"),
        ("2026-01-01 00:00:00.0000000", "2026-01-01 00:00:00.000"),
        ("2026-11-20T00:00", "2026-11-20 00:00:00.000"),
        ("November 20, 2026 12:00 am", "2026-11-20 00:00:00.000"),
        ("2026-11-20T00:00:00Z", "2026-11-19 19:00:00.000"),
        ("2026-11-20T00:00:01", "2026-11-19 19:00:01.000"),
    ],
)
def test_imis_datetime_is_local_with_milliseconds(time: str, written: str) -> None:
    """A time becomes local time of the subscriber, cut to milliseconds; a date is local midnight of that day."""
    assert value_of(f"{{{{ '{time}' | imis_datetime }}}}") == f'"{written}"'


def test_imis_datetime_without_a_zone_is_utc() -> None:
    """A subscriber without a time zone gets UTC."""
    assert value_of("{{ '2024-08-03T23:43:58+02:00' | imis_datetime }}", time_zone=None) == (
        '"2024-08-03 21:43:58.000"'
    )


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)))  # noqa: DTZ001
def test_every_time_has_its_23_characters(moment: datetime) -> None:
    """imis_datetime writes yyyy-MM-dd HH:mm:ss.fff for every year."""
    written = value_of(f"{{{{ '{moment.isoformat()}' | imis_datetime }}}}", time_zone="UTC")

    assert written == f'"{moment.isoformat(" ", "milliseconds")}"'


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ '2024-08-03T21:43:58Z' | date }}", "2024-08-03"),
        ("{{ '2024-08-03T21:43:58Z' | date: '%Y/%m/%d %H:%M:%S.%L %z' }}", "2024/08/03 21:43:58.000 +0000"),
        ("{{ '0212-01-02' | date: '%Y %F %-d %e %j' }}", "0212 0212-01-02 2  2 002"),
        ("{{ '2024-08-03T21:43:58Z' | date: '%A %b %-d, %-I:%M %p %^a %%' }}", "Saturday Aug 3, 9:43 PM SAT %"),
        ("{{ 'March 14, 2016' | date: '%b %d, %y' }}", "Mar 14, 16"),
        ("{{ 1152098955 | date: '%F %T' }}", "2006-07-05 11:29:15"),
        ("{{ '2024-08-03T21:43:58Z' | in_zone: 'America/New_York' }}", "2024-08-03T17:43:58-04:00"),
        ("{{ '2024-08-03T02:43:58Z' | in_zone: 'America/New_York' | date }}", "2024-08-02"),
        ("{{ '2024-08-03' | in_zone: 'America/New_York' }}", "2024-08-03T00:00:00-04:00"),
        ("{{ '20240803T214358Z' | date }}", "2024-08-03"),
        ("{{ '2026-01-01T00:00:00' | date: '%F %T' }}", "2026-01-01 00:00:00"),
        ("{{ '2026-01-01T00:00:00' | in_zone: 'America/New_York' }}", "2026-01-01T00:00:00-05:00"),
        ("{{ '2026-01-01T00:00:00' | in_zone: 'America/New_York' | date }}", "2026-01-01"),
    ],
)
def test_dates_and_zones(leaf: str, value: str) -> None:
    """`date` and `in_zone` read ISO times, use Ruby's directives, write years with four digits and convert zones."""
    assert value_of(leaf) == json.dumps(value)


@given(st.datetimes(), st.sampled_from("CmdjHIMSypAaBbuwUWV%"))
def test_formats_agree_with_python(moment: datetime, directive: str) -> None:
    """`date` gives the same as Python's strftime where that is correct."""
    # Python leaves a century below ten unpadded.
    expected = f"{moment.year // 100:02}" if directive == "C" else moment.strftime(f"%{directive}")

    assert value_of(f"{{{{ '{moment.isoformat()}' | date: '%{directive}' }}}}") == json.dumps(expected)


@pytest.mark.parametrize("text", ["March 2016", "14 March", "March 14, 2016 3:20 EST", "soon", "2024-13-01", "12:30"])
def test_no_part_of_a_date_is_guessed(text: str) -> None:
    """A date without a day or a year, or with the abbreviation of a zone, is an error."""
    assert "date needs a date or time" in message_of(f"{{{{ '{text}' | date }}}}")


@time_machine.travel(datetime(2031, 3, 14, 15, 20, tzinfo=UTC), tick=False)
def test_now_is_the_time_of_rendering() -> None:
    """`'now'` in a template is a time, in UTC, also as a default and in a variable; elsewhere it is text."""
    assert value_of("{{ 'now' | date: '%F %T' }}") == '"2031-03-14 15:20:00"'
    assert value_of("{{ data.x | default: 'today' | date }}") == '"2031-03-14"'
    assert value_of("{% assign moment = 'now' %}{{ moment | date: '%Y' }}") == '"2031"'
    assert value_of("{{ 'now' }}") == '"now"'
    assert value_of("{{ data.x | date | default: 'now' }}") == '"now"'


def test_text_counts_as_imis_does() -> None:
    """`text` counts UTF-16 units, and leaves out a character that does not fit whole."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    data = json.dumps({"x": family * 100})

    assert json.loads(value_of("{{ data.x | text: 255 }}", data)) == family * 31
    assert json.loads(value_of("{{ data.x | text: 7 }}", data)) == ""


@pytest.mark.parametrize("word", ["now", "today", " now ", "NOW", "tomorrow"])
@pytest.mark.parametrize("filter_", ["date", "imis_datetime", "in_zone: 'UTC'"])
def test_words_in_data_are_no_times(word: str, filter_: str) -> None:
    """Data such as `now` are an error in every filter of times, and not the time of rendering."""
    assert "needs a date or time" in message_of(f"{{{{ data.x | {filter_} }}}}", json.dumps({"x": word}))


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("{{ true | append: '!' }}", "true!"),
        ("{{ 'a' | append: nil }}", "a"),
        ("{{ 1.30 | append: ' h' }}", "1.30 h"),
        ("{{ data.o | append: '' }}", '{"u":1.50}'),
        ("{{ data.l | join: ', ' }}", "1, 2.50, true, "),
        ("{{ 'abc' | truncate: 3 }}", "abc"),
        ("{{ 'abcd' | truncate: 3, '…' }}", "ab…"),
        ("{{ 'a b' | truncatewords: 2 }}", "a b"),
        ("{{ 'a b c' | truncatewords: 2 }}", "a b..."),
        ("{{ (1..3) | join: '-' }}", "1-2-3"),
        ("{{ data.o | json }}", '{"u":1.50}'),
        ("{{ 'A b' | downcase | replace: ' ', '_' | capitalize }}", "A_b"),
        ("{{ 'x' | upcase | prepend: 1.5 }}", "1.5X"),
        ("{{ data.n | upcase }}", ""),
    ],
)
def test_standard_filters_write_values_as_templates_do(leaf: str, text: str) -> None:
    """In text filters null is empty, true is true, numbers keep their spelling, objects are JSON."""
    data = '{"o": {"u": 1.50}, "l": [1, 2.50, true, null], "n": null}'

    assert value_of(leaf, data) == json.dumps(text, ensure_ascii=False)


def test_filters_on_lists_keep_values() -> None:
    """Sorting, selecting and mapping lists keeps their numbers' spelling."""
    data = '{"l": [2.50, 1.30, 2.5], "o": [{"k": 1.30}, {}]}'

    assert value_of("{{ data.l | sort }}", data) == "[1.30,2.50,2.5]"
    assert value_of("{{ data.l | uniq | reverse }}", data) == "[1.30,2.50]"
    assert value_of("{{ data.o | map: 'k' }}", data) == "[1.30,null]"
    assert value_of("{{ data.l | first }}", data) == "2.50"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_rounding_is_half_away_from_zero(number: Decimal) -> None:
    """`decimal: 2` gives two places, never further than half a cent away, ties away from zero."""
    rounded = Decimal(value_of(f"{{{{ '{number:f}' | decimal: 2 }}}}"))

    assert -rounded.as_tuple().exponent == 2  # type: ignore[operator]
    assert abs(rounded - number) <= Decimal("0.005")
    if abs(rounded - number) == Decimal("0.005"):
        assert abs(rounded) > abs(number)


def any_value(leaf: str, data: Any) -> str | None:
    try:
        return value_of(leaf, json.dumps(data))
    except TemplateError:
        return None


@given(
    st.sampled_from(["decimal", "integer", "boolean", "date", "imis_datetime", "in_zone: 'UTC'", "text: 5", "round"]),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.integers())
    | st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?)?", fullmatch=True),
)  # fmt: skip
def test_typed_filters_never_fail_otherwise(name: str, value: Any) -> None:
    """A typed filter gives a JSON value or a TemplateError for any value."""
    result = any_value(f"{{{{ data.x | {name} }}}}", {"x": value})

    if result is not None:
        json.loads(result)
