"""A JSON text is split into the same pieces that a strict reader finds."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from learning_hub.model.json_pieces import split_array, split_object

TEXTS = st.text(st.sampled_from('a"\\,:[]{} ä\n\u2028😀'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


def spelled(value: Any, style: tuple[bool, int | None]) -> bytes:
    ensure_ascii, indent = style
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.tuples(st.booleans(), st.sampled_from([None, 1])))
def test_members_are_those_of_the_strict_reader(value: dict[str, Any], style: tuple[bool, int | None]) -> None:
    """The members of an object are those that the strict reader finds, to the character."""
    text = spelled(value, style)
    expected = msgspec.json.decode(text, type=dict[str, Raw])

    assert {name: bytes(raw) for name, raw in expected.items()} == {
        name: bytes(raw) for name, raw in split_object(text).items()
    }


@given(st.lists(VALUES, max_size=5), st.tuples(st.booleans(), st.sampled_from([None, 1])))
def test_items_are_those_of_the_strict_reader(value: list[Any], style: tuple[bool, int | None]) -> None:
    """The items of an array are those that the strict reader finds, to the character."""
    text = spelled(value, style)

    assert [bytes(raw) for raw in msgspec.json.decode(text, type=list[Raw])] == [
        bytes(raw) for raw in split_array(text, 100)
    ]


@given(st.text(st.sampled_from('{}[],:"\\1 ad8utn'), max_size=14))
def test_only_malformed_texts_are_rejected(text: str) -> None:
    """A text is rejected exactly when it is not well-formed."""
    for split, kind in ((split_object, dict), (partial(split_array, most=100), list)):
        try:
            is_one = isinstance(json.loads(text), kind)
        except ValueError:
            is_one = False
        try:
            split(text.encode())
        except ValueError:
            assert not is_one
        else:
            assert is_one


def test_what_the_strict_reader_refuses() -> None:
    """Lone surrogates and nests of any depth are split off like any other value; the last of a repeated key counts."""
    deep = b"[" * 100_000 + b"]" * 100_000

    assert {"\ud800": b'"\\udfff"', "a": deep} == {
        name: bytes(raw) for name, raw in split_object(b'{"a":1,"\\ud800":"\\udfff","a":' + deep + b"}").items()
    }


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 300_000, b"{" + b'"' * 300_001, b'["' + b'\\"' * 300_000 + b"]"])
def test_no_text_takes_long(text: bytes) -> None:
    """A string without an end is found where it begins."""
    with pytest.raises(ValueError, match=r"."):
        split_object(text)
    with pytest.raises(ValueError, match=r"."):
        split_array(text, 100)
