"""The pages about events name every field, every filter and every type, and nothing else."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
from pages import ROOT

from learning_hub.model.event import EventType, NewEvent
from learning_hub.services.feed import FeedQuery

PUBLISHING = ROOT / "docs" / "how-to" / "publish-events.md"
READING = ROOT / "docs" / "how-to" / "follow-the-feed.md"


def rows(text: str, heading: str) -> dict[str, str]:
    """The rows of the first table below a heading, by the name in their first cell."""
    table = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))


def test_the_page_of_publishing_names_every_field() -> None:
    """The table of fields has each field of an event, in the order of the API, and says which are optional."""
    table = rows(PUBLISHING.read_text(), "## The fields")
    fields = msgspec.structs.fields(NewEvent)
    assert list(table) == [field.encode_name for field in fields], f"Complete the table of {PUBLISHING.name}."
    assert [name for name, rule in table.items() if rule.startswith("optional")] == [
        field.encode_name for field in fields if not field.required
    ]


def test_the_page_of_publishing_names_every_type() -> None:
    """The row of EventType has each type of event."""
    rule = rows(PUBLISHING.read_text(), "## The fields")["EventType"]
    assert set(re.findall(r"`(\w+)`", rule)) == set(get_args(EventType)), f"Complete the row of {PUBLISHING.name}."


def test_the_page_of_reading_names_every_filter() -> None:
    """The table of parameters has each parameter of the feed."""
    table = rows(READING.read_text(), "## Some events")
    parameters = {field.encode_name for field in msgspec.structs.fields(FeedQuery)}
    assert set(table) == parameters, f"Complete the table of {READING.name}."
