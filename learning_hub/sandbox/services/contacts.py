"""Party, Person and PartySummary: three views of the same contacts (section 10)."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import ACTIVE, COLUMNS, complete_row
from learning_hub.sandbox.contact_wire import organization_of, person_of, read_contact, summary_of
from learning_hub.sandbox.errors import DuplicateKey, NotFound, Problem, ValidationError
from learning_hub.sandbox.search import find_rows, paged_result, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.table import Row

_TYPES = {"Party": "PartyData", "Person": "PersonData", "PartySummary": "PartySummaryData"}


class ContactService(Service):
    """
    Contacts as `Party` or `Person`, which can be added and updated, or as read-only `PartySummary` rows.

    `Person` has people only; `Party` and `PartySummary` have organisations too. Bodies need no `$type`, because the
    address implies it.
    """

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        rows = [row for _, row in find_rows(self.site.contacts, search, self.site.switches) if self._includes(row)]
        item_type = wire.membership(_TYPES[self.entity])
        return paged_result(rows, search, item_type, self.site.switches, self._to_json)

    def read(self, identity: Identity) -> Any:
        return self._to_json(self._existing(identity))

    def add(self, body: Any) -> Any:
        return self._to_json(self._insert(self._read_new(body)))

    def check(self, body: Any) -> None:
        self._read_new(body)

    def update(self, identity: Identity, body: Any) -> Any:
        if self.entity == "PartySummary":
            raise self._not_implemented("Update")
        old = self._existing(identity)
        values = {**old, **read_contact(body, old), "PartyId": old["PartyId"]}
        row = complete_row(values, old["CreatedOn"], self.site.local_now())
        self._check_row(row)
        self.site.contacts.put((row["PartyId"],), row)
        return self._to_json(row)

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        if self.entity != "Party" or operation.casefold() != "findbyalternateid":
            raise self._not_implemented(operation)
        keys = [str(parameter).casefold() for parameter in parameters]
        for row in self.site.contacts.rows.values():
            for alternate, kind in row["AlternateIds"]:
                # The parameters are the id alone, or the type of the id and the id.
                if keys in ([alternate.casefold()], [kind.casefold(), alternate.casefold()]):
                    return self._to_json(row)
        raise NotFound("No contact has that alternate id.")

    def _includes(self, row: Row) -> bool:
        return self.entity != "Person" or not row["IsOrganization"]

    def _existing(self, identity: Identity) -> Row:
        row = self.site.contacts.get((one_element(identity),))
        if row is None or not self._includes(row):
            msg = f"{self.entity} {identity[0]} was not found."
            raise NotFound(msg)
        return row

    def _read_new(self, body: Any) -> Row:
        if self.entity == "PartySummary":
            raise self._not_implemented("Add")
        values = read_contact(body)
        if self.entity == "Person":
            values["IsOrganization"] = False
        values.setdefault("IsOrganization", False)
        values.setdefault("Status", ACTIVE)
        now = self.site.local_now()
        row = complete_row(values, now, now)
        self._check_row(row)
        if row["PartyId"] and self.site.contacts.get((row["PartyId"],)) is not None:
            msg = f"There is a contact {row['PartyId']} already."
            raise DuplicateKey(msg)
        return row

    def _check_row(self, row: Row) -> None:
        problems = [] if row["Name"] else [Problem("LastName", "A contact needs a name.")]
        for column in COLUMNS:
            value = row[column.name]
            if column.max_length and value is not None and wire.utf16_length(str(value)) > column.max_length:
                message = f"{column.name} must not be longer than {column.max_length} characters."
                problems.append(Problem(column.name, message, value))
        if problems:
            raise ValidationError(self.entity, problems)

    def _insert(self, row: Row) -> Row:
        numbers = [int(party_id) for (party_id,) in self.site.contacts.rows if party_id.isdigit()]
        row["PartyId"] = row["PartyId"] or str(max(numbers, default=10000) + 1)
        row["UniformId"] = row["UniformId"] or uuid4()
        self.site.contacts.put((row["PartyId"],), row)
        return row

    def _to_json(self, row: Row) -> Any:
        if self.entity == "PartySummary":
            return summary_of(row, self.site.switches)
        write = organization_of if row["IsOrganization"] else person_of
        return write(row, self.site.switches)
