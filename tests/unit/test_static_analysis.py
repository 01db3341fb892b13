"""Static analysis finds the type, the length and the constant value of a leaf before any event comes."""

from __future__ import annotations

import json

import pytest

from learning_hub.model.template import Leaf
from learning_hub.rendering.compiler import compile_templates

PLACE = "_default.X"


def known(leaf: str) -> Leaf | None:
    compiled = compile_templates(json.dumps({"_default": {"X": leaf}}))
    assert compiled.errors == []
    return compiled.leaves[0] if compiled.leaves else None


@pytest.mark.parametrize(
    ("leaf", "gives"),
    [
        ("{{ data.a | decimal }}", "decimal"),
        ("{{ data.a | default: nil | blank_to_null | decimal: 2 }}", "decimal"),
        ("{{ data.a | decimal | must_have }}", "decimal"),
        ("{{ data.a | decimal | default: 1.5 }}", "decimal"),
        ("{{ data.a | integer | default: nil }}", "integer"),
        ("{{ data.a | boolean }}", "boolean"),
        ("{{ event.EventEndUtc | imis_datetime }}", "imis_datetime"),
        ("{{ event.EventEndUtc | in_zone: 'Europe/Berlin' }}", "time"),
        ("{{ event.EventEndUtc | date }}", "date"),
        ("{{ event.EventEndUtc | date: '%d.%m.%Y' }}", "text"),
        ("{{ data.a | decimal | text }}", "text"),
        ("{{ data.a | upcase }}", "text"),
        ("{{ true }}", "boolean"),
        ("{{ 7 }}", "integer"),
        ("{{ 1.50 }}", "decimal"),
    ],
)
def test_filters_tell_the_type(leaf: str, gives: str) -> None:
    """The last filter that changes the type finds the type of the leaf, whatever filters come before it."""
    found = known(leaf)
    assert found is not None
    assert (found.place, found.gives) == (PLACE, gives)


@pytest.mark.parametrize(
    ("leaf", "shortest", "longest"),
    [
        ("{{ data.a | text: 80 }}", 0, 80),
        ("{{ data.a | text: data.b }}", 0, None),
        ("{{ data.a | truncate: 20 }}", 0, 40),
        ("{{ data.a | text: 80 | append: '!' }}", 0, None),
        ("{{ 'four' | append: data.a }}", 0, None),
        ("{{ data.a }}😀", 2, None),
        ("Course {{ data.a }} of {{ data.b }}", 11, None),
        ("{% if data.a %}longer than it seems{% endif %}.", 1, None),
    ],
)
def test_texts_have_bounds(leaf: str, shortest: int, longest: int | None) -> None:
    """A text has at least the literal characters of the leaf, and at most the characters that a filter leaves."""
    assert known(leaf) == Leaf(PLACE, "text", shortest=shortest, longest=longest)


@pytest.mark.parametrize(
    "leaf",
    [
        "{{ data.a }}",
        "{{ data.a | must_have }}",
        "{{ data.a | decimal | default: 'none' }}",
        "{{ data.a | text: 5 | default: 'longer' }}",
        "{{ data.a | plus: 1 }}",
        "{{ data.a | split: ',' }}",
    ],
)
def test_a_leaf_of_any_type_is_not_known(leaf: str) -> None:
    """Nothing is known of a leaf whose value can have any type, so nothing is refused because of it."""
    assert known(leaf) is None


def test_only_valid_leaves_with_liquid_are_known() -> None:
    """Texts without Liquid and leaves with errors are not listed; the leaf of an `$omit` has its own place."""
    templates = {"A": {"X": "plain", "Y": 5, "Z": {"$omit": "{{ data.a | decimal }}"}}, "B": {"X": "{{ nope }}"}}
    compiled = compile_templates(json.dumps(templates))

    assert [str(error.place) for error in compiled.errors] == ["B.X"]
    assert [(leaf.place, leaf.gives) for leaf in compiled.leaves] == [("A.Z.$omit", "decimal")]


@pytest.mark.parametrize(
    ("leaf", "gives", "constant"),
    [
        ("{{ 'four' }}", "text", '"four"'),
        ("{{ 'x' }} {{ 'y' | upcase }}!", "text", '"x Y!"'),
        ("{{ '1.30' | decimal }}", "decimal", "1.30"),
        ("{{ 99999999999999 }}", "integer", "99999999999999"),
        ("{{ 4 | plus: 3 | integer }}", "integer", "7"),
        ("{{ 'yes' | boolean }}", "boolean", "true"),
        ("{{ nil | decimal }}", "text", "null"),
        ("{{ 'a,b' | split: ',' }}", "text", '["a","b"]'),
        ("{{ 'now' | date: '%Y' }}", "text", None),
        ("{{ '2031-03-14' | imis_datetime }}", "imis_datetime", None),
        ("{{ 'x' | append: data.a }}", "text", None),
        ("{{ data.a }}{{ 'x' }}", "text", None),
        ("{% if data.a %}x{% endif %}", "text", None),
    ],
)
def test_what_depends_on_no_event_is_worked_out(leaf: str, gives: str, constant: str | None) -> None:
    """Literals and filters alone have one value, but for the time; names and tags depend on the event."""
    found = known(leaf)
    assert found is not None
    assert (found.gives, found.constant) == (gives, constant)


def test_a_long_constant_is_known_by_its_length() -> None:
    """So that what is known of templates is not many times as long as they are."""
    assert known("{{ 'x' | append: '" + "y" * 300 + "' }}") == Leaf(PLACE, "text", shortest=301, longest=301)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("{{ 'abc' | decimal }}", "decimal needs a number"),
        ("{{ 1.5 | integer }}", "integer needs a whole number"),
        ("{{ 'soon' | imis_datetime }}", "imis_datetime needs a date or time"),
        ("{{ '' | must_have }}", "must_have needs a value"),
        ("a{{ 'abc' | decimal }}", "decimal needs a number"),
    ],
)
def test_a_constant_that_cannot_be_rendered_is_an_error(leaf: str, message: str) -> None:
    """The error has the place of the leaf and the message that rendering would give."""
    compiled = compile_templates(json.dumps({"_default": {"X": leaf}, "A": {}}))
    (error,) = compiled.errors
    assert error.place == PLACE
    assert message in error.detail


@pytest.mark.parametrize(
    "leaf",
    [
        "{{ '0001-01-01T00:00:00+14:00' | imis_datetime }}",
        "{{ 'abc' | append: data.a | decimal }}",
        "{% if data.a %}{{ 'abc' | decimal }}{% endif %}",
    ],
)
def test_a_leaf_that_can_be_rendered_for_some_event_or_zone_is_no_error(leaf: str) -> None:
    """Only a leaf that no event and no time zone can save is an error."""
    assert compile_templates(json.dumps({"_default": {"X": leaf}})).errors == []
