"""Which parts of a template say the same for every event."""

from __future__ import annotations


def is_plain(text: str) -> bool:
    """Whether *text* has nothing of Liquid in it, and so is its own rendering."""
    return "{{" not in text and "{%" not in text


def is_same_for_all(leaf: object) -> bool:
    """Whether *leaf* is a single value that does not depend on the event."""
    return is_plain(leaf) if isinstance(leaf, str) else not isinstance(leaf, dict | list)
