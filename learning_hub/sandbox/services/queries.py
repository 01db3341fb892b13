"""IQA and query: results of saved queries in two row formats (section 11); QueryDefinition: the queries themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest, NotAllowed, NotFound
from learning_hub.sandbox.saved_query import Results, SavedQuery, query_at
from learning_hub.sandbox.search import Search, find_rows, paged_result, read_filter, read_search
from learning_hub.sandbox.services.service import Pairs, Service
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Table

_PAGING = {"limit", "offset", "orderby", "phrase"}


@dataclass(frozen=True, slots=True)
class _QueryRequest:
    """A request to run a query: the prompts by name, or by position, and the page."""

    query: SavedQuery
    named: tuple[tuple[str, str], ...]
    positional: tuple[str, ...]
    paging: Search


class IqaService(Service):
    """`GET /api/IQA`: generic rows; prompts are positional, each as `parameter=`."""

    def find(self, pairs: Pairs) -> Any:
        run = _read_query_request(self.site, pairs)
        prompts = [(name, value) for (name, _), value in zip(run.query.prompts, run.positional, strict=False) if value]
        rows = list(enumerate(_results(self.site, run.query, prompts), 1))
        item_type = wire.core("GenericEntityData")
        return paged_result(rows, run.paging, item_type, self.site.switches, self._to_json)

    def _to_json(self, numbered: tuple[int, dict[str, Any]]) -> Any:
        number, row = numbered
        return {
            "$type": wire.core("GenericEntityData"),
            # Rows captured from real sites have a number here instead of a name.
            "EntityTypeName": "1",
            "Properties": wire.property_list([("ResultRow", str(number)), *row.items()], self.site.switches),
        }


class QueryService(Service):
    """`GET /api/query`: flat rows; prompts go by name. Version 20.2 lacks it."""

    def find(self, pairs: Pairs) -> Any:
        run = _read_query_request(self.site, pairs)
        rows = _results(self.site, run.query, [pair for pair in run.named if pair[1]])
        return paged_result(rows, run.paging, None, self.site.switches, self._to_json)

    def _to_json(self, row: dict[str, Any]) -> Any:
        cells = {alias: wire.native(value, self.site.switches) for alias, value in row.items()}
        return {"$type": wire.EXPANDO, **cells}


class QueryDefinitionService(Service):
    """The definition of a query, found by its path."""

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        if operation.casefold() != "findbypath":
            raise self._not_implemented(operation)
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


def _read_query_request(site: Site, pairs: Pairs) -> _QueryRequest:
    path: str | None = None
    named: list[tuple[str, str]] = []
    positional: list[str] = []
    paging = [(name, value) for name, value in pairs if name.casefold() in _PAGING]
    for name, value in pairs:
        folded = name.casefold()
        if folded in {"queryname", "querypath"}:
            path = value
        elif folded == "parameter":
            positional.append(value)
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
    return _QueryRequest(query, tuple(named), tuple(positional), read_search(paging, site.switches))


def _results(site: Site, query: SavedQuery, prompts: Sequence[tuple[str, str]]) -> Results:
    """All rows of *query* for *prompts*, cached for as long as the switch QueryCacheSeconds says."""
    key = (query.path, tuple(prompts))
    cached = site.query_cache.get(key, site.now())
    if cached is not None:
        return cached
    prompt_columns = {name.casefold(): column for name, column in query.prompts}
    filters = list(query.fixed)
    for name, value in prompts:
        column = prompt_columns.get(name.casefold())
        if column is not None:
            filters.append(read_filter(column, value, site.switches))
        elif site.switches.unknown_filter == "refuse":
            msg = f"The query has no prompt {name}."
            raise BadRequest(msg)
    matches = find_rows(_table(site, query), Search(tuple(filters)), site.switches)
    labels = {"Units": site.switches.units_column, "Category": site.switches.ceu_type_column}
    columns = [
        (alias, labels.get(alias, column) if query.source == "Activity" else column) for alias, column in query.columns
    ]
    rows = [{alias: row[column] for alias, column in columns} for _, row in matches]
    site.query_cache.put(key, rows, site.now(), site.switches.query_cache_seconds)
    return rows


def _table(site: Site, query: SavedQuery) -> Table:
    if query.source == "Activity":
        return site.activities
    if query.source == "Party":
        return site.contacts
    return site.panels[query.source.casefold()].table
