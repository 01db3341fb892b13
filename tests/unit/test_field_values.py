"""Values that were decoded before, such as Settings: every bad field is found, in the same words as those of a body."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from learning_hub.model.fields import check_values, from_values
from learning_hub.model.json_values import read_json


class Query(msgspec.Struct, frozen=True, rename="pascal"):
    """A way to look something up."""

    path: Annotated[str, Meta(pattern=r"^/.+$")]
    limit: int | None = None


class Options(msgspec.Struct, frozen=True, rename="pascal"):
    """Options with a field of each kind that Settings have."""

    name: Annotated[str, Meta(min_length=1, max_length=5)]
    lookup: Literal["email", "as-is"] | Query = "email"
    headers: Annotated[dict[str, Any], Meta(max_length=1)] = {}
    size: Annotated[int, Meta(ge=1, le=9)] = 1
    process: Annotated[str, Meta(max_length=5)] | Annotated[int, Meta(ge=0)] = "0"
    zone: str | None = None


def faults(values: dict[str, Any], messages: dict[str, str] | None = None) -> dict[str, str]:
    return {error.field: error.message for error in check_values(values, Options, "Settings", messages)}


def test_right_values_become_a_struct() -> None:
    """Objects within a union are read, and null counts as left out."""
    values = {"Name": "x", "Lookup": {"Path": "/a", "Limit": 3}, "Size": None, "Zone": None}

    assert faults(values) == {}
    assert from_values(values, Options) == Options(name="x", lookup=Query("/a", 3))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"Name": "is required"}),
        ({"Name": None}, {"Name": "is required"}),
        ({"Name": "x", "Colour": 1}, {"Colour": "is not a known field"}),
        ({"Name": "", "Size": 10}, {"Name": "must not be empty", "Size": "must be at most 9"}),
        (
            {"Name": 7, "Size": "7"},
            {"Name": "must be a string, not an integer", "Size": "must be an integer, not a string"},
        ),
        ({"Name": "x", "Size": read_json("1.5")}, {"Size": "must be an integer, not a number"}),
        ({"Name": "x", "Headers": {"a": 1, "b": 2}}, {"Headers": "must have at most 1 fields"}),
        ({"Name": "x", "Headers": []}, {"Headers": "must be an object, not an array"}),
        ({"Name": "x", "Process": []}, {"Process": "must be an integer or a string, not an array"}),
        (
            {"Name": "x", "Lookup": {"Path": 5, "More": 1}},
            {"Lookup.Path": "must be a string, not an integer", "Lookup.More": "is not a known field"},
        ),
        ({"Name": "x", "Lookup": {}}, {"Lookup.Path": "is required"}),
    ],
)
def test_every_bad_value_is_named(values: dict[str, Any], expected: dict[str, str]) -> None:
    """With its whole path and the words that a body would get."""
    assert faults(values) == {f"Settings.{field}": message for field, message in expected.items()}


def test_a_message_of_the_caller_replaces_that_of_the_type() -> None:
    """By its path, also within an object; a missing or unknown field keeps the usual message."""
    messages = {"Name": "must be a name", "Lookup": "must be a way", "Lookup.Path": "must be a path"}

    assert faults({"Name": 5, "Lookup": 5}, messages) == {
        "Settings.Name": "must be a name",
        "Settings.Lookup": "must be a way",
    }
    assert faults({"Lookup": {"Path": "x"}}, messages) == {
        "Settings.Name": "is required",
        "Settings.Lookup.Path": "must be a path",
    }
    assert faults({"Name": "x", "Lookup": {}}, messages) == {"Settings.Lookup.Path": "is required"}


def test_no_message_repeats_a_value() -> None:
    """Values may be secrets."""
    secret = "s3cret-value"
    for name in ("Name", "Lookup", "Headers", "Size", "Process", "Zone"):
        for value in (secret, [secret], {"Path": secret}):
            assert secret not in str(list(faults({"Name": "x", name: value}).values()))
