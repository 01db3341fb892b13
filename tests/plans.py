"""Plans of the database, as EXPLAIN gives them in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node, and those below."""
    yield tree
    for below in tree.get("Plans", []):
        yield from nodes(below)
