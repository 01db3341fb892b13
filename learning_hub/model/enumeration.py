"""Names in a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def enumerated(names: Iterable[str], *, most: int | None = None) -> str:
    """`A, B and C`; of more than *most* the first ones, and how many more there are: `A, B and 3 more`."""
    named = list(names)
    if most is not None and len(named) > most:
        named[most:] = [f"{len(named) - most} more"]
    *first, last = named
    return f"{', '.join(first)} and {last}" if first else last
