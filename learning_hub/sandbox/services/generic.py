"""Entities that travel as GenericEntityData: activities and panel rows (section 3.3)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.errors import BadRequest, Invalid, NotFound, Problem, WrongIdentity
from learning_hub.sandbox.search import matching, page, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, check_type
from learning_hub.sandbox.table import Key, Row, Table

TYPE_NAME = "GenericEntityData"


class GenericService(Service):
    """Reading and writing of one table whose rows belong to contacts."""

    unknown_properties_are_refused: bool
    long_text_is_cut = False

    def __init__(self, entity: str, table: Table, columns: Sequence[Column], **rest: Any) -> None:
        super().__init__(rest["site"], entity)
        self.table = table
        self.columns = columns
        self.key_length = sum(column.is_identity for column in columns)
        self.party_column = next(column for column in columns if column.is_party)

    @abstractmethod
    def check_values(self, values: Row) -> list[Problem]:
        """What is wrong with the values of a whole row, besides what its columns say."""

    @abstractmethod
    def insert(self, values: Row) -> tuple[Key, Row]:
        """Store a new row; the key and the row as the answer shows them."""

    def touch(self, row: Row) -> None:
        """Fill what iMIS fills on an update."""

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        self.check_filters([wanted.name for wanted in search.filters])
        found = matching(self.table, search, self.site.switches)
        return page(found, search, wire.core(TYPE_NAME), self.site.switches, lambda pair: self.entity_of(*pair))

    def check_filters(self, names: Sequence[str]) -> None:
        """Refuse filters that this entity does not take."""

    def read(self, identity: Identity) -> Any:
        key, row = self._existing(identity)
        return self.entity_of(key, row)

    def add(self, body: Any) -> Any:
        key, row = self.insert(self._new_values(body))
        return self.entity_of(key, row)

    def check(self, body: Any) -> None:
        self._new_values(body)

    def change(self, identity: Identity, body: Any) -> Any:
        key, old = self._existing(identity)
        sent, problems = self._values(body)
        if self.site.switches.null_in_put == "unchanged":
            sent = {name: value for name, value in sent.items() if value is not None}
        if self.site.switches.omitted_in_put == "cleared":
            kept = {c.name for c in self.columns if c.is_assigned or c.is_identity or c.is_party}
            old = {name: value if name in kept else None for name, value in old.items()}
        row = {**old, **sent}
        self._refuse([*problems, *self._missing(row), *self.check_change(key, row)])
        self.touch(row)
        self.table.put(key, row)
        return self.entity_of(key, row)

    def check_change(self, key: Key, row: Row) -> list[Problem]:
        """What is wrong with a changed row."""
        del key
        return self.check_values(row)

    def remove(self, identity: Identity) -> None:
        key, _ = self._existing(identity)
        self.table.remove(key)

    def entity_of(self, key: Key, row: Row) -> Any:
        """The generic entity for a row."""
        party = row[self.party_column.name]
        pairs = [(column.name, self._shown(column, row[column.name])) for column in self.columns]
        return {
            "$type": wire.core(TYPE_NAME),
            "EntityTypeName": self.entity,
            "PrimaryParentEntityTypeName": "Party",
            "Identity": wire.identity(self.entity, key),
            "PrimaryParentIdentity": wire.identity("Party", [party]),
            "Properties": wire.property_list(pairs, self.site.switches),
        }

    def _shown(self, column: Column, value: Any) -> Any:
        """Text as it comes back: with HTML encoded where the switch HtmlInText says so (3.6)."""
        mode = self.site.switches.html_in_text
        if mode == "none" or not isinstance(value, str) or column.is_identity or column.is_party:
            return value
        if mode == "descriptions" and not any(w in column.name.casefold() for w in ("description", "note")):
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
            row[party] = next(iter(self._named_parties(body)), None)
        elif any(other != row[party] for other in self._named_parties(body)):
            problems.append(Problem(party, f"{party} and the parent name different contacts.", row[party]))
        self._refuse([*problems, *self._missing(row), *self.check_values(row)])
        return row

    def _named_parties(self, body: Any) -> list[str]:
        """The contact that the parent of a body names; none in many bodies in use (8.3)."""
        return wire.identity_elements(wire.member(body, "PrimaryParentIdentity"))[:1]

    def _missing(self, row: Row) -> list[Problem]:
        required = [column for column in self.columns if column.is_required]
        return [Problem(c.name, f"{c.name} is required.") for c in required if row[c.name] in (None, "")]

    def unknown_party(self, row: Row) -> list[Problem]:
        """A problem when the contact named in *row* is not there; none when it names nobody."""
        name = self.party_column.name
        party = row[name]
        if self.site.switches.unknown_party == "accept":
            return []
        if party in (None, "") or self.site.contacts.get((party,)) is not None:
            return []
        return [Problem(name, f"There is no contact {party}.", party)]

    def _values(self, body: Any) -> tuple[Row, list[Problem]]:
        """The values in a body by column, those that iMIS assigns left out, and what is wrong with them."""
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
                # An alias beside the name itself: a client in use sends its own record id as ID beside PartyId.
                continue
            if column is None:
                if self.unknown_properties_are_refused:
                    problems.append(Problem(name, f"{self.entity} has no property {name}.", value))
            elif not column.is_assigned:
                values[column.name] = self._read(column, value, problems)
        return values, problems

    def _read(self, column: Column, value: Any, problems: list[Problem]) -> Any:
        if self.long_text_is_cut and column.max_length is not None and isinstance(value, str):
            value = value[: column.max_length]
        try:
            return column.read(value, self.site.switches)
        except ValueError as error:
            problems.append(Problem(column.name, str(error), value))
            return None

    def _refuse(self, problems: Sequence[Problem]) -> None:
        """Raise all *problems*, the first of each field: a column that does not fit is not also missing."""
        if problems:
            first: dict[str, Problem] = {}
            for problem in problems:
                first.setdefault(problem.field, problem)
            raise Invalid(self.entity, list(first.values()))


_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def _property(sent: Any) -> tuple[str, Any]:
    """Name and value of a property as sent; a missing `Value` is null."""
    name = wire.member(sent, "Name")
    if not isinstance(name, str):
        raise BadRequest("Every property needs a Name.")
    return name, wire.member(sent, "Value")
