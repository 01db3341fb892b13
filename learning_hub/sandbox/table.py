"""Tables in memory, with lookups by key and by the value of a column."""

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
    """*value* normalised for comparison: text without letter case, numbers as decimals, GUIDs as text."""
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


class Table:
    """
    Rows by key, in insertion order.

    The first lookup by a column creates an index on it, so that clients that search before each write stay fast with
    thousands of rows.
    """

    def __init__(self, columns: Iterable[Column], aliases: Mapping[str, str] = MappingProxyType({})) -> None:
        self.columns: dict[str, Column] = {}
        self._aliases = {alias.casefold(): name.casefold() for alias, name in aliases.items()}
        self.rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Any, dict[Key, None]]] = {}
        for column in columns:
            self.add_column(column)

    def add_column(self, column: Column) -> None:
        """Add *column*, or replace the column of that name; existing rows get null in a new column."""
        self.columns[column.name.casefold()] = column
        for row in self.rows.values():
            row.setdefault(column.name, None)

    def column(self, name: str) -> Column | None:
        """The column with that name or alias, in any letter case."""
        folded = name.casefold()
        return self.columns.get(self._aliases.get(folded, folded))

    def get(self, key: Key) -> Row | None:
        return self.rows.get(key)

    def put(self, key: Key, row: Row) -> None:
        """Insert *row*, or replace the row of that key."""
        self._unindex(key)
        self.rows[key] = row
        for name, index in self._indexes.items():
            index.setdefault(fold(row.get(name)), {})[key] = None

    def remove(self, key: Key) -> None:
        self._unindex(key)
        del self.rows[key]

    def where_equal(self, column: Column, value: Any) -> Iterator[tuple[Key, Row]]:
        """The rows whose *column* equals *value* without letter case, in the order in which they got that value."""
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
    """A sort key for values of one column: nulls first, text without letter case."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | datetime):
        return (1, value)
    return (1, fold(value))
