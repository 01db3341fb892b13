"""LegacyActivityType: the configured types of activity (section 7.5)."""

from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest, DuplicateKey, Invalid, NotFound, Problem
from learning_hub.sandbox.search import matching, page, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.table import Row

_ITEM = "LegacyActivityTypeData"


class ActivityTypeService(Service):
    """Types of activity; bodies need no `$type`."""

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        found = [row for _, row in matching(self.site.activity_types, search, self.site.switches)]
        return page(found, search, wire.core(_ITEM), self.site.switches, _written)

    def read(self, identity: Identity) -> Any:
        name = one_element(identity)
        for (known,), row in self.site.activity_types.rows.items():
            if known.casefold() == name.casefold():
                return _written(row)
        msg = f"LegacyActivityType {name} was not found."
        raise NotFound(msg)

    def add(self, body: Any) -> Any:
        row = self._read_new(body)
        self.site.activity_types.put((row["ActivityTypeId"],), row)
        return _written(row)

    def check(self, body: Any) -> None:
        self._read_new(body)

    def _read_new(self, body: Any) -> Row:
        if not isinstance(body, dict) or not body:
            raise BadRequest("The request body must be a JSON object.")
        columns = self.site.activity_types.columns.values()
        row: Row = {}
        for column in columns:
            try:
                row[column.name] = column.read(wire.member(body, column.name), self.site.switches)
            except ValueError as error:
                raise Invalid(self.entity, [Problem(column.name, str(error))]) from error
            if column.is_required and not row[column.name]:
                raise Invalid(self.entity, [Problem(column.name, f"{column.name} is required.")])
        name = row["ActivityTypeId"]
        if any(known.casefold() == name.casefold() for (known,) in self.site.activity_types.rows):
            msg = f"There is an activity type {name} already."
            raise DuplicateKey(msg)
        return row


def _written(row: Row) -> Any:
    kept = {name: value for name, value in row.items() if value is not None}
    return {"$type": wire.core(_ITEM), **kept}
