"""IQA and query: saved queries, in two shapes of row (section 11), and the record of a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest, NotAllowed, NotFound
from learning_hub.sandbox.query import Results, SavedQuery, query_at
from learning_hub.sandbox.search import Search, matching, page, read_filter, read_search
from learning_hub.sandbox.services.service import Pairs, Service
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Table

_PAGING = {"limit", "offset", "orderby", "phrase"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks of a query: prompts by name as sent, or in the query's order, and its page."""

    query: SavedQuery
    named: tuple[tuple[str, str], ...]
    in_order: tuple[str, ...]
    paging: Search


class IqaService(Service):
    """`GET /api/IQA`: generic rows, prompts in order as `parameter=`."""

    def find(self, pairs: Pairs) -> Any:
        asked = _read_asked(self.site, pairs)
        prompts = [
            (name, value) for (name, _), value in zip(asked.query.prompts, asked.in_order, strict=False) if value
        ]
        rows = list(enumerate(_results(self.site, asked.query, prompts), 1))
        item_type = wire.core("GenericEntityData")
        return page(rows, asked.paging, item_type, self.site.switches, self._written)

    def _written(self, numbered: tuple[int, dict[str, Any]]) -> Any:
        number, row = numbered
        return {
            "$type": wire.core("GenericEntityData"),
            # Captured rows have a number here and not a name.
            "EntityTypeName": "1",
            "Properties": wire.property_list([("ResultRow", str(number)), *row.items()], self.site.switches),
        }


class QueryService(Service):
    """`GET /api/query`: flat rows, prompts by name. Version 20.2 has none."""

    def find(self, pairs: Pairs) -> Any:
        asked = _read_asked(self.site, pairs)
        rows = _results(self.site, asked.query, [pair for pair in asked.named if pair[1]])
        return page(rows, asked.paging, None, self.site.switches, self._written)

    def _written(self, row: dict[str, Any]) -> Any:
        cells = {alias: wire.native(value, self.site.switches) for alias, value in row.items()}
        return {"$type": wire.EXPANDO, **cells}


class QueryDefinitionService(Service):
    """The record of a query, found by its path."""

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        if operation.casefold() != "findbypath":
            raise self._lacks(operation)
        query = query_at(str(parameters[0])) if parameters else None
        if query is None:
            raise NotFound("There is no query at that path.")
        return {
            "$type": wire.core("QueryDefinitionData"),
            "QueryDefinitionId": str(uuid5(NAMESPACE_URL, query.path)),
            "Name": query.path.rpartition("/")[2],
            "Path": query.path,
            "IsAvailableToREST": query.is_available_to_rest,
        }


def _read_asked(site: Site, pairs: Pairs) -> _Asked:
    path: str | None = None
    named: list[tuple[str, str]] = []
    in_order: list[str] = []
    paging = [(name, value) for name, value in pairs if name.casefold() in _PAGING]
    for name, value in pairs:
        folded = name.casefold()
        if folded in {"queryname", "querypath"}:
            path = value
        elif folded == "parameter":
            in_order.append(value)
        elif folded not in _PAGING:
            named.append((name, value))
    if path is None:
        raise BadRequest("QueryName is missing.")
    query = query_at(path)
    if query is None:
        message = f"There is no query {path}."
        raise NotAllowed(message) if site.switches.unknown_query == 403 else NotFound(message)
    if not query.is_available_to_rest:
        message = f"Query {path} is not available via REST."
        raise NotAllowed(message) if site.switches.closed_query == 403 else NotFound(message)
    return _Asked(query, tuple(named), tuple(in_order), read_search(paging, site.switches))


def _results(site: Site, query: SavedQuery, prompts: Sequence[tuple[str, str]]) -> Results:
    """All rows of *query* for *prompts*, remembered for as long as the switch QueryCacheSeconds says."""
    key = (query.path, tuple(prompts))
    kept = site.query_cache.get(key, site.now())
    if kept is not None:
        return kept
    columns = {name.casefold(): column for name, column in query.prompts}
    filters = list(query.fixed)
    for name, value in prompts:
        column = columns.get(name.casefold())
        if column is not None:
            filters.append(read_filter(column, value, site.switches))
        elif site.switches.unknown_filter == "refuse":
            msg = f"The query has no prompt {name}."
            raise BadRequest(msg)
    found = matching(_table(site, query), Search(tuple(filters)), site.switches)
    labels = {"Units": site.switches.units_column, "Category": site.switches.ceu_type_column}
    shown = [
        (alias, labels.get(alias, column) if query.source == "Activity" else column) for alias, column in query.shown
    ]
    rows = [{alias: row[column] for alias, column in shown} for _, row in found]
    site.query_cache.put(key, rows, site.now(), site.switches.query_cache_seconds)
    return rows


def _table(site: Site, query: SavedQuery) -> Table:
    if query.source == "Activity":
        return site.activities
    if query.source == "Party":
        return site.contacts
    return site.panels[query.source.casefold()].table
