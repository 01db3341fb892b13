"""What is known of a leaf's value before any event comes."""

from __future__ import annotations

import json

import pytest

from learning_hub.model.template import Leaf
from learning_hub.rendering.document import compile_templates

PLACE = "_default.X"


def known(leaf: str) -> Leaf | None:
    compiled = compile_templates(json.dumps({"_default": {"X": leaf}}))
    assert compiled.problems == []
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
def test_the_last_filter_that_counts_tells(leaf: str, gives: str) -> None:
    """A typed filter says what comes out, whatever stands before it and whatever passes it on after it."""
    found = known(leaf)
    assert found is not None
    assert (found.place, found.gives) == (PLACE, gives)


@pytest.mark.parametrize(
    ("leaf", "shortest", "longest"),
    [
        ("{{ data.a | text: 80 }}", 0, 80),
        ("{{ data.a | text: data.b }}", 0, None),
        ("{{ data.a | truncate: 20 }}", 0, 20),
        ("{{ data.a | text: 80 | append: '!' }}", 0, None),
        ("{{ 'four' | append: data.a }}", 0, None),
        ("Course {{ data.a }} of {{ data.b }}", 11, None),
        ("{% if data.a %}longer than it seems{% endif %}.", 1, None),
    ],
)
def test_texts_have_bounds(leaf: str, shortest: int, longest: int | None) -> None:
    """A text has at least the characters that stand in the leaf whatever happens, and at most what a filter leaves."""
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
def test_nothing_is_said_of_what_depends_on_the_event(leaf: str) -> None:
    """Where the value may be of any type nothing is known, so nothing can be refused."""
    assert known(leaf) is None


def test_what_stands_there_as_it_is_and_what_is_wrong_are_left_out() -> None:
    """Texts without Liquid and leaves with problems have no forecast; one that may be left out has its own place."""
    templates = {"A": {"X": "plain", "Y": 5, "Z": {"$omit": "{{ data.a | decimal }}"}}, "B": {"X": "{{ nope }}"}}
    compiled = compile_templates(json.dumps(templates))

    assert [str(problem.place) for problem in compiled.problems] == ["B.X"]
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
        ("{{ '' | must_have }}", "a value must be here"),
        ("a{{ 'abc' | decimal }}", "decimal needs a number"),
    ],
)
def test_a_constant_that_no_event_can_save_is_a_problem(leaf: str, message: str) -> None:
    """It is told where it stands, in the words of the rendering."""
    compiled = compile_templates(json.dumps({"_default": {"X": leaf}, "A": {}}))
    (problem,) = compiled.problems
    assert problem.place == PLACE
    assert message in problem.detail


@pytest.mark.parametrize(
    "leaf",
    [
        "{{ '0001-01-01T00:00:00+14:00' | imis_datetime }}",
        "{{ 'abc' | append: data.a | decimal }}",
        "{% if data.a %}{{ 'abc' | decimal }}{% endif %}",
    ],
)
def test_what_may_work_for_an_event_or_in_a_zone_is_no_problem(leaf: str) -> None:
    """Only what is certain is refused."""
    assert compile_templates(json.dumps({"_default": {"X": leaf}})).problems == []
