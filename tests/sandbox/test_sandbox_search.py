"""Filters and order (section 5.2)."""

from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import activity, completion, items_of, values_of

ROWS = [
    {"UF_1": "a", "DESCRIPTION": "Fire Safety", "UNITS": 1, "EFFECTIVE_DATE": "2031-01-01T12:30:00"},
    {"UF_1": "b", "DESCRIPTION": "First aid", "UNITS": 2.5, "EFFECTIVE_DATE": "2031-02-01"},
    {"UF_1": "c", "DESCRIPTION": "12:30 at the gate", "UNITS": 10, "RECURRING_REQUEST": True},
    {"UF_1": "d", "DESCRIPTION": "", "RECURRING_REQUEST": False},
    {"UF_1": "e", "UNITS": 5, "NOTE": "fire drill"},
]


@pytest.fixture
def activities(imis: httpx.Client) -> httpx.Client:
    for row in ROWS:
        assert imis.post("/api/Activity", json=activity(**row)).status_code == 201
    return imis


def found(imis: httpx.Client, **query: Any) -> str:
    """The letters in UF_1 of the activities that a query finds, in its order."""
    return "".join(values_of(item)["UF_1"] for item in items_of(imis.get("/api/Activity", params=query)))


@pytest.mark.parametrize(
    ("column", "test", "expected"),
    [
        ("DESCRIPTION", "first AID", "b"),
        ("description", "eq:first aid", "b"),
        ("DESCRIPTION", "==:First aid", "b"),
        ("DESCRIPTION", "ne:First aid", "acde"),
        ("DESCRIPTION", "!=:First aid", "acde"),
        ("UNITS", "eq:1.0", "a"),
        ("UNITS", "gt:2.5", "ce"),
        ("UNITS", ">:2.5", "ce"),
        ("UNITS", "ge:2.5", "bce"),
        ("UNITS", ">=:2.5", "bce"),
        ("UNITS", "lt:5", "ab"),
        ("UNITS", "<:5", "ab"),
        ("UNITS", "le:5", "abe"),
        ("UNITS", "between:2|5", "be"),
        ("UNITS", "between:2", ""),
        ("UNITS", "in:1|10|99", "ac"),
        ("UNITS", "notIn:1|10", "bde"),
        ("UNITS", "!in:1|10", "bde"),
        ("UNITS", "gt:many", ""),
        ("DESCRIPTION", "startsWith:FIR", "ab"),
        ("DESCRIPTION", "endsWith:aid", "b"),
        ("DESCRIPTION", "contains:e", "ac"),
        ("DESCRIPTION", "notContain:e", "bde"),
        ("DESCRIPTION", "!contain:e", "bde"),
        ("DESCRIPTION", "isEmpty", "de"),
        ("DESCRIPTION", "isEmpty:", "de"),
        ("DESCRIPTION", "empty:", "de"),
        ("DESCRIPTION", "notEmpty", "abc"),
        ("DESCRIPTION", "!empty", "abc"),
        ("RECURRING_REQUEST", "isTrue", "c"),
        ("RECURRING_REQUEST", "true", "c"),
        ("RECURRING_REQUEST", "isFalse", "d"),
        ("RECURRING_REQUEST", "false", "d"),
        ("EFFECTIVE_DATE", "ge:2031-01-02T00:00:00", "b"),
        ("EFFECTIVE_DATE", "2031-01-01T12:30:00", "a"),
        ("EFFECTIVE_DATE", "eq:2031-01-01T12:30:00", "a"),
        ("SEQN", "eq:880124", "b"),
        ("ACTIVITY_TYPE", "tclearning", "abcde"),
        ("UF_1", "EQ:c", "c"),
        ("PHRASE", "fire", "ae"),
    ],
)
def test_every_operator_and_alias_works(activities: httpx.Client, column: str, test: str, expected: str) -> None:
    """Every operator and alias works; names and text ignore letter case."""
    assert found(activities, **{column: test}) == expected


@pytest.mark.parametrize(
    ("test", "expected"), [("12:30 at the gate", "c"), ("eq:12:30 at the gate", "c"), ("at:12:30", "")]
)
def test_a_colon_belongs_to_the_value_except_after_an_operator(
    activities: httpx.Client, test: str, expected: str
) -> None:
    """A colon is part of the value unless the text before the first colon is an operator."""
    assert found(activities, DESCRIPTION=test) == expected


def test_less_or_equal_symbol(activities: httpx.Client, switch: Any) -> None:
    """The symbol `<=` is a literal text, as in 20.3.205, unless the switch makes it an operator."""
    assert found(activities, UNITS="<=:5") == ""
    switch(LessOrEqualSymbol="operator")
    assert found(activities, UNITS="<=:5") == "abe"


def test_filters_are_joined_with_and(activities: httpx.Client) -> None:
    """All filters must match, including several on one property."""
    response = activities.get("/api/Activity?UNITS=gt:1&UNITS=lt:10&DESCRIPTION=notEmpty")

    assert [values_of(item)["UF_1"] for item in items_of(response)] == ["b"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("UNITS", "dabec"),
        ("UNITS:Descending", "cebad"),
        ("units:descending", "cebad"),
        ("UNITS:sideways", "dabec"),
        ("RECURRING_REQUEST:Descending|UF_1:Descending", "cdeba"),
    ],
)
def test_rows_come_in_the_given_order(activities: httpx.Client, order: str, expected: str) -> None:
    """Rows come in the given order, nulls first, ascending unless it says Descending."""
    assert found(activities, OrderBy=order) == expected


@pytest.mark.parametrize("query", [{"COLOUR": "red"}, {"OrderBy": "COLOUR"}])
def test_an_unknown_property_is_400_or_ignored(activities: httpx.Client, switch: Any, query: dict[str, str]) -> None:
    """A filter or order on a property that does not exist is 400, or ignored by switch."""
    assert activities.get("/api/Activity", params=query).status_code == 400
    switch(UnknownFilter="ignore")
    assert found(activities, **query) == "abcde"


def test_comparison_by_switch(activities: httpx.Client, switch: Any) -> None:
    """By switch, text and operators are case-sensitive."""
    switch(TextComparison="exact", OperatorCase="exact")

    assert found(activities, DESCRIPTION="first aid") == ""
    assert found(activities, DESCRIPTION="First aid") == "b"
    assert found(activities, DESCRIPTION="EQ:First aid") == ""


def test_search_for_the_newest_row(imis: httpx.Client) -> None:
    """The search that clients make after a POST finds the real ordinal."""
    for code in ("FIRE-201", "AID-101", "FIRE-201"):
        imis.post("/api/TopClass_Learning", json=completion(CourseCode=code))
    query = "ID=10042&CourseCode=eq:FIRE-201&OrderBy=Ordinal:Descending&limit=1"

    rows = items_of(imis.get(f"/api/TopClass_Learning?{query}"))

    assert [values_of(row)["Ordinal"] for row in rows] == [3]


def test_an_updated_row_is_found_by_its_new_value(imis: httpx.Client) -> None:
    """An updated row is found by its new value and no longer by the old one; a deleted row is not found."""
    imis.post("/api/Activity", json=activity(UF_1="old"))
    assert found(imis, UF_1="old") == "old"
    imis.put("/api/Activity/880123", json=activity(UF_1="new"))
    assert (found(imis, UF_1="old"), found(imis, UF_1="new")) == ("", "new")
    imis.delete("/api/Activity/880123")
    assert found(imis, UF_1="new") == ""
