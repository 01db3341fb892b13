"""From a body to a Struct: every bad field is found, and named."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw

from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, TooLarge
from learning_hub.model.fields import collect, read_list, read_object, read_struct


class Inner(msgspec.Struct, frozen=True):
    """A part."""

    value: Annotated[str, Meta(min_length=1, max_length=3)]
    label: str | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A body with one field of each kind."""

    text: Annotated[str, Meta(min_length=1, max_length=3)]
    kind: Literal["one", "two"] = "one"
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    is_on: bool = False
    part: Inner | None = None
    names: Annotated[list[str], Meta(max_length=2)] = []
    data: Raw = Raw(b"{}")
    anything: Any = None


def read(text: str) -> Body:
    return read_struct(read_object(text.encode()), Body)


def faults(text: str) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        read(text)
    return {error.field: error.message for error in caught.value.errors}


def test_a_body_is_read() -> None:
    """What is right arrives, and what is absent has its default."""
    body = read('{"Text": "abc", "Part": {"value": "x"}, "Data": { "b": 1.30,"a":1 }, "Anything": [1, null]}')

    assert ("abc", Inner("x"), [1, None]) == (body.text, body.part, body.anything)
    assert bytes(body.data) == b'{ "b": 1.30,"a":1 }'


def test_all_faults_are_found() -> None:
    """Every bad field is listed at once, with its path and in words."""
    assert faults(
        '{"Kind": "three", "Count": 10, "IsOn": "yes", "Part": {"value": "abcd", "other": 1},'
        ' "Names": ["a", "b", "c"], "Other": 1}'
    ) == {
        "Text": "is required",
        "Kind": "must be one of one, two",
        "Count": "must be at most 9",
        "IsOn": "must be true or false, not a string",
        "Part.value": "must have at most 3 characters",
        "Part.other": "is not a known field",
        "Names": "must have at most 2 items",
        "Other": "is not a known field",
    }


@pytest.mark.parametrize(
    ("field", "value", "place", "message"),
    [
        ("Text", '""', "Text", "must not be empty"),
        ("Text", "1", "Text", "must be a string, not an integer"),
        ("Text", "null", "Text", "is required"),
        ("Text", '"a\\u0000"', "Text", "has a NUL character"),
        ("Text", '"\\ud800"', "Text", "has a lone surrogate (half of a UTF-16 pair)"),
        ("Text", "[" * 101 + "]" * 101, "Text", "is nested more than 100 levels deep"),
        ("Count", "0", "Count", "must be at least 1"),
        ("Count", "1.5", "Count", "must be an integer, not a number"),
        ("Count", "1e400", "Count", "is a number beyond the range of a double (about 1.8e308)"),
        ("Count", "9" * 5000, "Count", "is a number beyond the range of a double (about 1.8e308)"),
        ("Part", "[]", "Part", "must be an object"),
        ("Part", '"x"', "Part", "must be an object"),
        ("Part", '{"label": "x"}', "Part.value", "is required"),
        ("Names", '["a", 1]', "Names[1]", "must be a string, not an integer"),
        ("Anything", '{"a": ["\\u0000"]}', "Anything.a[0]", "has a NUL character"),
    ],
)
def test_each_fault_has_its_words(field: str, value: str, place: str, message: str) -> None:
    """A fault is named by its path and reported in words that a publisher understands."""
    fields = {"Text": '"abc"'} | {field: value}
    found = faults("{" + ", ".join(f'"{name}": {given}' for name, given in fields.items()) + "}")

    assert found == {place: message}


@pytest.mark.parametrize(
    ("field", "value", "places"),
    [
        ("Names", "[1, true]", ["Names[0]", "Names[1]"]),
        ("Names", '["\\u0000", 1]', ["Names[0]", "Names[1]"]),
        ("Part", '{"value": "\\u0000", "label": 1, "other": 2}', ["Part.label", "Part.other", "Part.value"]),
    ],
)
def test_one_bad_part_hides_no_other(field: str, value: str, places: list[str]) -> None:
    """Every bad item of a list is named, and every bad member of an object, also beside one that cannot be kept."""
    assert sorted(faults(f'{{"Text": "abc", "{field}": {value}}}')) == places


@pytest.mark.parametrize("field", ["Kind", "Count", "IsOn", "Part", "Names", "Data", "Anything"])
def test_null_is_missing(field: str) -> None:
    """Null is the same as missing for optional fields."""
    assert read('{"Text": "a"}') == read(f'{{"Text": "a", "{field}": null}}')


def test_the_last_of_a_repeated_key_counts() -> None:
    """Of a repeated key the last counts, nested ones as well, even where the ones before were wrong."""
    assert Body(text="c", part=Inner("y")) == read(
        '{"Text": 1, "Text": "abcd", "Text": "c", "Part": {"value": 1, "value": "y"}}'
    )
    assert faults('{"Text": "a", "Text": null}') == {"Text": "is required"}


def test_lengths_count_characters() -> None:
    """A length is counted in characters, whatever their size in bytes or their escapes."""
    assert read('{"Text": "\\ud83d\\ude00ä\\n"}').text == "😀ä\n"


def test_names_that_are_long_are_shortened() -> None:
    """An unknown field is named with a hundred of its characters."""
    (place,) = faults(f'{{"Text": "a", "{"x" * 5000}": 1}}')

    assert len(place) == 101


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b'{"a": 1,}',
        b'{"a": 01}',
        b'{"a": NaN}',
        b'{"a": "\t"}',
        b"{'a': 1}",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b"\xff\xfe{\x00}\x00",
        b"[]",
        b"1",
        b'"{}"',
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": "\\ud800", "b": [}',
        b'{"a": "\\ud800" "b": 1}',
        b'{"a": "\\ud800", }',
        b'{"a": "\\ud800"}}',
        b'{"a": "\\ud800"} {}',
        b'{"a": "\\ud800", "b": Infinity}',
        b'{"' + b'\\"' * 200_000,
    ],
)
def test_what_is_no_object_is_refused_whole(body: bytes) -> None:
    """What is not well-formed, not UTF-8 or no object is refused with a sentence."""
    with pytest.raises(InvalidInput) as caught:
        read_object(body)
    assert caught.value.code == "malformed_json"
    assert caught.value.detail.startswith("The body " if body else "A JSON object is needed")


def test_a_fault_in_one_field_leaves_the_others_readable() -> None:
    """A lone surrogate or a nest of any depth is named with its field, and so are the faults beside it."""
    deep = "[" * 50_000 + "]" * 50_000
    assert faults(f'{{"Text": "a\\ud800", "Count": 0, "Data": {{"a": {deep}}}, "\\ud800,{{": 1}}') == {
        "Text": "has a lone surrogate (half of a UTF-16 pair)",
        "Count": "must be at least 1",
        "Data": "is nested more than 100 levels deep",
        "\\ud800,{": "is not a known field",
    }


def test_a_list_keeps_its_items_as_sent() -> None:
    """The items of a list body are left as they are, good or bad; what is no list is refused."""
    assert [bytes(item) for item in read_list(b'[{"a": 1.30} ,1, "\\ud800"]', 3)] == [
        b'{"a": 1.30}',
        b"1",
        b'"\\ud800"',
    ]
    with pytest.raises(InvalidInput, match="JSON array"):
        read_list(b"{}", 3)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Any bytes at all are a body or are refused."""
    try:
        read_struct(read_object(body), Body)
    except InvalidInput:
        return


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["Text", "Kind", "Count", "IsOn", "Part", "Names", "Data", "Other"]), JSON_VALUES)
)
def test_no_values_break_the_reader(body: dict[str, Any]) -> None:
    """Fields of any type are taken or named; none is let through with a wrong type."""
    try:
        got = read_struct(read_object(msgspec.json.encode(body)), Body)
    except InvalidFields:
        return
    assert isinstance(got.text, str)
    assert isinstance(got.count, int)
    assert got.part is None or isinstance(got.part, Inner)


@pytest.mark.parametrize("item", [b"[]", b"null", b'"\\ud800"', b"{}"])
def test_a_list_is_counted(item: bytes) -> None:
    """Up to the limit every item is there, null among them; one more is refused, whatever the items are."""
    assert [bytes(found) for found in read_list(b"[" + b",".join([item] * 3) + b"]", 3)] == [item] * 3
    with pytest.raises(TooLarge, match="more than 3"):
        read_list(b"[" + b",".join([item] * 4) + b"]", 3)


def test_a_list_is_not_read_beyond_its_limit() -> None:
    """Millions of items more take no time: what follows the limit is not looked at."""
    body = b"[" + b",".join([b"[]"] * 5_000_000) + b"]"
    read_list(b"[]", 10_000)
    began = time.process_time()
    msgspec.json.decode(body, type=list[Raw])
    whole = time.process_time() - began
    began = time.process_time()
    with pytest.raises(TooLarge):
        read_list(body, 10_000)
    assert time.process_time() - began < whole / 3


def test_unknown_fields_without_end() -> None:
    """Of very many unknown fields 99 are named, and the hundredth says how many more there are."""
    fields = {f"Field{number}": Raw(b"1") for number in range(250)} | {"value": Raw(b'"a"')}
    _, errors = collect(fields, Inner)
    assert [error.field for error in errors[:99]] == [f"Field{number}" for number in range(99)]
    assert errors[99:] == [FieldError("…", "151 more are not known fields")]
