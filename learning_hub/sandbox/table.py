"""Rows in memory, found by key or by what a column equals."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from learning_hub.sandbox.column import Column

Key = tuple[str, ...]
Row = dict[str, Any]


def fold(value: Any) -> Any:
    """What two equal values have in common: text without its case, numbers as decimals, GUIDs as text."""
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


class Table:
    """
    Rows in the order in which they were added, each under its key.

    A column that is asked for gets an index, so that a client that looks before it writes does not make the
    sandbox slow after some thousand rows.
    """

    def __init__(self, columns: Iterable[Column], aliases: Mapping[str, str] = MappingProxyType({})) -> None:
        self.columns: dict[str, Column] = {}
        self._aliases = {alias.casefold(): name.casefold() for alias, name in aliases.items()}
        self.rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Any, dict[Key, None]]] = {}
        for column in columns:
            self.add_column(column)

    def add_column(self, column: Column) -> None:
        """Add *column*, or replace the one of that name; rows have null in a new one."""
        self.columns[column.name.casefold()] = column
        for row in self.rows.values():
            row.setdefault(column.name, None)

    def column(self, name: str) -> Column | None:
        """The column of that name or alias, in any case."""
        folded = name.casefold()
        return self.columns.get(self._aliases.get(folded, folded))

    def get(self, key: Key) -> Row | None:
        return self.rows.get(key)

    def put(self, key: Key, row: Row) -> None:
        """Store *row* under *key*, in place of the one there."""
        self._unindex(key)
        self.rows[key] = row
        for name, index in self._indexes.items():
            index.setdefault(fold(row.get(name)), {})[key] = None

    def remove(self, key: Key) -> None:
        self._unindex(key)
        del self.rows[key]

    def equal(self, column: Column, value: Any) -> Iterator[tuple[Key, Row]]:
        """The rows whose *column* equals *value*, text in any case, in the order in which they came to it."""
        index = self._indexes.get(column.name)
        if index is None:
            index = self._indexes[column.name] = {}
            for key, row in self.rows.items():
                index.setdefault(fold(row.get(column.name)), {})[key] = None
        return ((key, self.rows[key]) for key in list(index.get(fold(value), ())))

    def _unindex(self, key: Key) -> None:
        row = self.rows.get(key)
        if row is None:
            return
        for name, index in self._indexes.items():
            index.get(fold(row.get(name)), {}).pop(key, None)


def sort_key(value: Any) -> tuple[int, Any]:
    """Orders values of one column: nulls first, text without its case."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | datetime):
        return (1, value)
    return (1, fold(value))
