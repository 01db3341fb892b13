"""
Named queries from .sql files: a query begins at its `-- name:` line and is read by that name.

A placeholder such as `{event_columns}` or `{event_arrays:4}` is replaced by a list that store/event_columns.py makes
from the declaration of an event's fields.
"""

from __future__ import annotations

import re
from importlib import resources

from learning_hub.store.event_columns import LISTS

NAME_LINE = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
PLACEHOLDER = re.compile(r"\{(\w+)(?::(\d+))?\}")


class Queries:
    """
    The queries of one .sql file as attributes: `Queries("events").latest_entries` is the SQL text.

    Args:
        file: The name of the file without its ending.
        package: The package that contains the file.
    """

    def __init__(self, file: str, *, package: str = __package__) -> None:
        text = PLACEHOLDER.sub(_filled, (resources.files(package) / f"{file}.sql").read_text(encoding="utf-8"))
        pieces = NAME_LINE.split(text)[1:]
        self.by_name = {name: sql.strip() for name, sql in zip(pieces[::2], pieces[1::2], strict=True)}
        if len(self.by_name) * 2 != len(pieces):
            raise ValueError(f"{file}.sql names a query twice")

    def __getattr__(self, name: str) -> str:
        try:
            return self.by_name[name]
        except KeyError:
            raise AttributeError(name) from None


def _filled(placeholder: re.Match[str]) -> str:
    """The list that replaces a placeholder; its parameters begin with the number after the colon."""
    name, first = placeholder.groups()
    return LISTS[name](int(first)) if first else LISTS[name]()
