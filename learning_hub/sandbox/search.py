"""Searches: filters, order and paging of a list, from the query string to the page of results (section 5)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from learning_hub.sandbox import wire
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.errors import BadRequest
from learning_hub.sandbox.switches import Switches
from learning_hub.sandbox.table import Key, Row, Table, fold, sort_key

DEFAULT_LIMIT = 100
MAX_LIMIT = 500

_OPERATORS = {
    "eq": "eq",
    "==": "eq",
    "ne": "ne",
    "!=": "ne",
    "gt": "gt",
    ">": "gt",
    "ge": "ge",
    ">=": "ge",
    "lt": "lt",
    "<": "lt",
    "le": "le",
    "between": "between",
    "in": "in",
    "notIn": "notIn",
    "!in": "notIn",
    "startsWith": "startsWith",
    "endsWith": "endsWith",
    "contains": "contains",
    "notContain": "notContain",
    "!contain": "notContain",
    "isEmpty": "isEmpty",
    "empty": "isEmpty",
    "notEmpty": "notEmpty",
    "!empty": "notEmpty",
    "isTrue": "isTrue",
    "true": "isTrue",
    "isFalse": "isFalse",
    "false": "isFalse",
}
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: the property name as sent, the operator, and the values as text."""

    name: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed query string; *order* has property names, each with True for descending order."""

    filters: tuple[Filter, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    phrase: str = ""
    offset: int = 0
    limit: int = DEFAULT_LIMIT


def read_search(pairs: Iterable[tuple[str, str]], switches: Switches) -> Search:
    """
    The search in the *pairs* of a query string.

    `OFFSET`, `LIMIT`, `ORDERBY`, `PHRASE` and `EntityId`, in any letter case, are reserved; every other name is a
    filter. A limit or offset that is not a number counts as 0, a limit of 0 as 100, and one over 500 as 500.
    """
    filters: list[Filter] = []
    order: list[tuple[str, bool]] = []
    reserved = {"offset": "", "limit": "", "phrase": "", "entityid": ""}
    for name, value in pairs:
        folded = name.casefold()
        if folded == "orderby":
            order.extend(_order_key(piece) for piece in value.split("|") if piece)
        elif folded in reserved:
            reserved[folded] = value
        else:
            filters.append(read_filter(name, value, switches))
    limit = _count(reserved["limit"]) or DEFAULT_LIMIT
    return Search(tuple(filters), tuple(order), reserved["phrase"], _count(reserved["offset"]), min(limit, MAX_LIMIT))


def read_filter(name: str, value: str, switches: Switches) -> Filter:
    """
    One filter; `|` separates its values, and only the first one may begin with an operator and a colon.

    If the text before the first colon is not an operator, it is part of the value, and so is the colon.
    """
    first, *others = value.split("|")
    word, colon, rest = first.partition(":")
    operator = _operator(word, switches)
    if operator is None or (not colon and operator not in _TESTS_WITHOUT_VALUE):
        return Filter(name, "eq", (first, *others))
    return Filter(name, operator, (rest, *others))


def _operator(word: str, switches: Switches) -> str | None:
    if word == "<=" and switches.less_or_equal_symbol == "operator":
        return "le"
    if word in _OPERATORS or switches.operator_case == "exact":
        return _OPERATORS.get(word)
    folded = {alias.casefold(): operator for alias, operator in _OPERATORS.items()}
    return folded.get(word.casefold())


def _order_key(piece: str) -> tuple[str, bool]:
    name, _, direction = piece.partition(":")
    return name, direction.casefold() == "descending"


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def find_rows(table: Table, search: Search, switches: Switches) -> list[tuple[Key, Row]]:
    """
    The rows of *table* that match *search*, in its order, without paging.

    Raises:
        BadRequest: A filter or an order names a property that does not exist (switch UnknownFilter).
    """
    filters = []
    for filter_ in search.filters:
        column = _column(table, filter_.name, switches)
        if column is not None:
            filters.append((column, filter_))
    rows = _candidates(table, filters, switches)
    for column, filter_ in filters:
        matches = _value_test(column, filter_, switches)
        rows = [(key, row) for key, row in rows if matches(row.get(column.name))]
    if search.phrase:
        phrase = search.phrase.casefold()
        rows = [pair for pair in rows if any(phrase in fold(v) for v in pair[1].values() if isinstance(v, str))]
    for name, descends in reversed(search.order):
        column = _column(table, name, switches)
        if column is not None:
            rows.sort(key=lambda pair, by=column.name: sort_key(pair[1].get(by)), reverse=descends)  # type: ignore[misc]
    return rows


def _column(table: Table, name: str, switches: Switches) -> Column | None:
    column = table.column(name)
    if column is None and switches.unknown_filter == "refuse":
        msg = f"Property {name} does not exist."
        raise BadRequest(msg)
    return column


def _candidates(table: Table, filters: Sequence[tuple[Column, Filter]], switches: Switches) -> list[tuple[Key, Row]]:
    """A superset of the matching rows: the fewest rows that an index finds for an `eq` filter, or all rows."""
    smallest: list[tuple[Key, Row]] | None = None
    for column, filter_ in filters:
        if filter_.operator == "eq":
            value = _filter_value(column, filter_.values[0], switches)
            rows = list(table.where_equal(column, value))
            if smallest is None or len(rows) < len(smallest):
                smallest = rows
    return list(table.rows.items()) if smallest is None else smallest


def _filter_value(column: Column, text: str, switches: Switches) -> Any:
    """*text* as a value of *column*; the text itself, which matches nothing, where the column cannot hold it."""
    if column.kind in {"text", "guid"}:
        return text
    try:
        value = column.read(text, switches)
    except ValueError:
        return text
    return text if value is None else value


def _value_test(column: Column, filter_: Filter, switches: Switches) -> Callable[[Any], bool]:
    """A function that tests a stored value of *column*; null matches only negated and emptiness operators."""
    exact = switches.text_comparison == "exact"

    def folded(value: Any) -> Any:
        return value if exact and isinstance(value, str) else fold(value)

    values = [folded(_filter_value(column, text, switches)) for text in filter_.values]

    def holds(stored: Any) -> bool:
        return _holds(filter_.operator, folded(stored), values)

    return holds


def _holds(operator: str, stored: Any, values: Sequence[Any]) -> bool:
    if operator in _TESTS_WITHOUT_VALUE:
        return _TESTS_WITHOUT_VALUE[operator](stored)
    if operator in {"ne", "notIn", "notContain"}:
        opposite = {"ne": "eq", "notIn": "in", "notContain": "contains"}[operator]
        return not _holds(opposite, stored, values)
    if stored is None:
        return False
    if operator in {"startsWith", "endsWith", "contains"}:
        return _TEXT[operator](_text(stored), _text(values[0]))
    if operator == "in":
        return stored in values
    return _comparable(stored, values) and _COMPARISONS[operator](stored, values)


def _text(value: Any) -> str:
    return str(wire.as_plain(value)).casefold() if not isinstance(value, str) else value


def _comparable(stored: Any, values: Sequence[Any]) -> bool:
    return all(type(value) is type(stored) for value in values[:2])


_TESTS_WITHOUT_VALUE: Mapping[str, Callable[[Any], bool]] = {
    "isEmpty": lambda stored: stored is None or stored == "",
    "notEmpty": lambda stored: not (stored is None or stored == ""),
    "isTrue": lambda stored: stored is True or stored in {"true", "1"},
    "isFalse": lambda stored: stored is False or stored in {"false", "0"},
}
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda stored, value: value in stored,
}
_COMPARISONS: Mapping[str, Callable[[Any, Sequence[Any]], bool]] = {
    "eq": lambda stored, values: bool(stored == values[0]),
    "gt": lambda stored, values: bool(stored > values[0]),
    "ge": lambda stored, values: bool(stored >= values[0]),
    "lt": lambda stored, values: bool(stored < values[0]),
    "le": lambda stored, values: bool(stored <= values[0]),
    "between": lambda stored, values: len(values) > 1 and bool(values[0] <= stored <= values[1]),
}


def paged_result(
    items: Sequence[Item],
    search: Search,
    item_type: str | None,
    switches: Switches,
    to_json: Callable[[Item], Any],
) -> Any:
    """
    The page of *items* that *search* selects, as a PagedResult (section 5.1).

    Args:
        items: All matches; those outside the page are only counted.
        search: Provides offset and limit.
        item_type: The `$type` of an item; None for rows of /api/query.
        switches: Version 20.2 adds two members.
        to_json: Converts an item to JSON; called only for items on the page.
    """
    shown = [to_json(item) for item in items[search.offset : search.offset + search.limit]]
    end = search.offset + len(shown)
    next_offset = end if shown and end < len(items) else 0
    page_type = "PagedResult" if item_type is None else f"PagedResult`1[[{item_type}]]"
    list_type = wire.list_of("System.Object, mscorlib" if item_type is None else item_type)
    page = {
        "$type": wire.core(page_type),
        "Items": wire.collection(list_type, shown),
        "Offset": search.offset,
        "Limit": search.limit,
        "Count": len(shown),
        "TotalCount": len(items),
        "NextPageLink": None,
        "HasNext": next_offset > 0,
        "NextOffset": next_offset,
    }
    if switches.version == "20.2":
        page |= {"SyncRoot": {"$type": "System.Object, mscorlib"}, "IsSynchronized": False}
    return page
