"""Entities whose wire format is GenericEntityData: activities and panel rows (section 3.3)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.errors import BadRequest, NotFound, Problem, ValidationError, WrongIdentity
from learning_hub.sandbox.search import find_rows, paged_result, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, check_type
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Key, Row, Table

TYPE_NAME = "GenericEntityData"


class GenericService(Service):
    """
    The operations on one table whose rows belong to contacts.

    Attributes:
        rejects_unknown_properties: A property without a column is a validation error; otherwise it is ignored.
        truncates_long_text: Text longer than its column is truncated; otherwise it is a validation error.
    """

    rejects_unknown_properties: bool
    truncates_long_text = False

    def __init__(self, site: Site, entity: str, table: Table, columns: Sequence[Column]) -> None:
        super().__init__(site, entity)
        self.table = table
        self.columns = columns
        self.key_length = sum(column.is_identity for column in columns)
        self.party_column = next(column for column in columns if column.is_party)

    @abstractmethod
    def check_values(self, values: Row) -> list[Problem]:
        """The problems of a whole row, besides those that its columns find in single values."""

    @abstractmethod
    def insert(self, values: Row) -> tuple[Key, Row]:
        """Store a new row; return its key and the row as the response shows them."""

    def touch(self, row: Row) -> None:
        """Fill the columns that iMIS fills on an update."""

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        self.check_filters([filter_.name for filter_ in search.filters])
        rows = find_rows(self.table, search, self.site.switches)
        return paged_result(rows, search, wire.core(TYPE_NAME), self.site.switches, lambda pair: self.entity_of(*pair))

    def check_filters(self, names: Sequence[str]) -> None:
        """Raise for a filter that this entity does not support."""

    def read(self, identity: Identity) -> Any:
        key, row = self._existing(identity)
        return self.entity_of(key, row)

    def add(self, body: Any) -> Any:
        key, row = self.insert(self._new_values(body))
        return self.entity_of(key, row)

    def check(self, body: Any) -> None:
        self._new_values(body)

    def update(self, identity: Identity, body: Any) -> Any:
        key, old = self._existing(identity)
        sent, problems = self._values(body)
        if self.site.switches.null_in_put == "unchanged":
            sent = {name: value for name, value in sent.items() if value is not None}
        if self.site.switches.omitted_in_put == "cleared":
            preserved = {c.name for c in self.columns if c.is_assigned or c.is_identity or c.is_party}
            old = {name: value if name in preserved else None for name, value in old.items()}
        row = {**old, **sent}
        self._raise_if_any([*problems, *self._missing(row), *self.check_update(key, row)])
        self.touch(row)
        self.table.put(key, row)
        return self.entity_of(key, row)

    def check_update(self, key: Key, row: Row) -> list[Problem]:
        """The problems of an updated row."""
        del key
        return self.check_values(row)

    def delete(self, identity: Identity) -> None:
        key, _ = self._existing(identity)
        self.table.remove(key)

    def entity_of(self, key: Key, row: Row) -> Any:
        """The generic entity for a row."""
        party = row[self.party_column.name]
        pairs = [(column.name, self._encode_html(column, row[column.name])) for column in self.columns]
        return {
            "$type": wire.core(TYPE_NAME),
            "EntityTypeName": self.entity,
            "PrimaryParentEntityTypeName": "Party",
            "Identity": wire.identity(self.entity, key),
            "PrimaryParentIdentity": wire.identity("Party", [party]),
            "Properties": wire.property_list(pairs, self.site.switches),
        }

    def _encode_html(self, column: Column, value: Any) -> Any:
        """*value*, with HTML-significant characters encoded if it is text and the switch HtmlInText says so (3.6)."""
        mode = self.site.switches.html_in_text
        if mode == "none" or not isinstance(value, str) or column.is_identity or column.is_party:
            return value
        if mode == "descriptions" and not any(word in column.name.casefold() for word in ("description", "note")):
            return value
        return value.translate(_HTML)

    def _existing(self, identity: Identity) -> tuple[Key, Row]:
        if len(identity) != self.key_length:
            raise WrongIdentity
        row = self.table.get(identity)
        if row is None:
            msg = f"{self.entity} {'|'.join(identity)} was not found."
            raise NotFound(msg)
        return identity, row

    def _new_values(self, body: Any) -> Row:
        sent, problems = self._values(body)
        row: Row = {column.name: None for column in self.columns} | sent
        party = self.party_column.name
        if row[party] is None:
            row[party] = next(iter(self._party_ids(body)), None)
        elif any(other != row[party] for other in self._party_ids(body)):
            problems.append(Problem(party, f"{party} and the parent name different contacts.", row[party]))
        self._raise_if_any([*problems, *self._missing(row), *self.check_values(row)])
        return row

    def _party_ids(self, body: Any) -> list[str]:
        """The contact ids that the parent in a body has; many clients send no parent (8.3)."""
        return wire.identity_elements(wire.member(body, "PrimaryParentIdentity"))[:1]

    def _missing(self, row: Row) -> list[Problem]:
        required = [column for column in self.columns if column.is_required]
        return [Problem(c.name, f"{c.name} is required.") for c in required if row[c.name] in (None, "")]

    def party_problems(self, row: Row) -> list[Problem]:
        """A problem when the contact of *row* does not exist; none when *row* has no contact."""
        name = self.party_column.name
        party = row[name]
        if self.site.switches.unknown_party == "accept":
            return []
        if party in (None, "") or self.site.contacts.get((party,)) is not None:
            return []
        return [Problem(name, f"There is no contact {party}.", party)]

    def _values(self, body: Any) -> tuple[Row, list[Problem]]:
        """The values in a body by column, without the columns that iMIS assigns, and their problems."""
        check_type(body, TYPE_NAME, self.site)
        named = wire.member(body, "EntityTypeName")
        if named is not None and str(named).casefold() != self.entity.casefold():
            msg = f"The request body is a {named} and not a {self.entity}."
            raise BadRequest(msg)
        values: Row = {}
        problems: list[Problem] = []
        sent = [_property(item) for item in wire.values_of(wire.member(body, "Properties"))]
        names = {name.casefold() for name, _ in sent}
        for name, value in sent:
            column = self.table.column(name)
            if column and column.name.casefold() in names - {name.casefold()}:
                # The column's own name wins over its alias: one public client sends its own record id as ID beside
                # PartyId.
                continue
            if column is None:
                if self.rejects_unknown_properties:
                    problems.append(Problem(name, f"{self.entity} has no property {name}.", value))
            elif not column.is_assigned:
                values[column.name] = self._read(column, value, problems)
        return values, problems

    def _read(self, column: Column, value: Any, problems: list[Problem]) -> Any:
        if self.truncates_long_text and column.max_length is not None and isinstance(value, str):
            value = wire.cut_to_units(value, column.max_length)
        try:
            return column.read(value, self.site.switches)
        except ValueError as error:
            problems.append(Problem(column.name, str(error), value))
            return None

    def _raise_if_any(self, problems: Sequence[Problem]) -> None:
        """Raise *problems*, only the first of each field: a value that cannot be read is not also missing."""
        if problems:
            first: dict[str, Problem] = {}
            for problem in problems:
                first.setdefault(problem.field, problem)
            raise ValidationError(self.entity, list(first.values()))


_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def _property(sent: Any) -> tuple[str, Any]:
    """Name and value of a property in a body; a missing `Value` is null."""
    name = wire.member(sent, "Name")
    if not isinstance(name, str):
        raise BadRequest("Every property needs a Name.")
    return name, wire.member(sent, "Value")
