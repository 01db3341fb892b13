"""Named queries from .sql files: a query begins at its `-- name:` line and lives under that name."""

from __future__ import annotations

import re
from importlib import resources

NAME_LINE = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Queries:
    """
    The queries of one .sql file as attributes: `Queries("events").latest_entries` is the SQL text.

    Args:
        file: Its name without the ending.
        package: Where it lies.
    """

    def __init__(self, file: str, *, package: str = __package__) -> None:
        text = (resources.files(package) / f"{file}.sql").read_text(encoding="utf-8")
        pieces = NAME_LINE.split(text)[1:]
        self.by_name = {name: sql.strip() for name, sql in zip(pieces[::2], pieces[1::2], strict=True)}
        if len(self.by_name) * 2 != len(pieces):
            raise ValueError(f"{file}.sql names a query twice")

    def __getattr__(self, name: str) -> str:
        try:
            return self.by_name[name]
        except KeyError:
            raise AttributeError(name) from None
