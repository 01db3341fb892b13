"""LegacyActivityType: the configured types of activity (section 7.5)."""

from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest, DuplicateKey, NotFound, Problem, ValidationError
from learning_hub.sandbox.search import find_rows, paged_result, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.table import Row

_ITEM = "LegacyActivityTypeData"


class ActivityTypeService(Service):
    """Types of activity; bodies need no `$type`."""

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        rows = [row for _, row in find_rows(self.site.activity_types, search, self.site.switches)]
        return paged_result(rows, search, wire.core(_ITEM), self.site.switches, _to_json)

    def read(self, identity: Identity) -> Any:
        name = one_element(identity)
        for (known,), row in self.site.activity_types.rows.items():
            if known.casefold() == name.casefold():
                return _to_json(row)
        msg = f"LegacyActivityType {name} was not found."
        raise NotFound(msg)

    def add(self, body: Any) -> Any:
        row = self._read_new(body)
        self.site.activity_types.put((row["ActivityTypeId"],), row)
        return _to_json(row)

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
                raise ValidationError(self.entity, [Problem(column.name, str(error))]) from error
            if column.is_required and not row[column.name]:
                raise ValidationError(self.entity, [Problem(column.name, f"{column.name} is required.")])
        name = row["ActivityTypeId"]
        if any(known.casefold() == name.casefold() for (known,) in self.site.activity_types.rows):
            msg = f"There is an activity type {name} already."
            raise DuplicateKey(msg)
        return row


def _to_json(row: Row) -> Any:
    members = {name: value for name, value in row.items() if value is not None}
    return {"$type": wire.core(_ITEM), **members}
