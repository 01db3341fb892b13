"""Party, Person and PartySummary: three views of the same contacts (section 10)."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import ACTIVE, COLUMNS, complete_row
from learning_hub.sandbox.contact_wire import organization_of, person_of, read_contact, summary_of
from learning_hub.sandbox.errors import DuplicateKey, Invalid, NotFound, Problem
from learning_hub.sandbox.search import matching, page, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.table import Row

_TYPES = {"Party": "PartyData", "Person": "PersonData", "PartySummary": "PartySummaryData"}


class ContactService(Service):
    """
    Contacts as `Party` or `Person`, which can be added to and changed, or as light `PartySummary` rows.

    Only people are a `Person`; the other two have organisations too. Bodies need no `$type`: the address says
    it.
    """

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        found = [row for _, row in matching(self.site.contacts, search, self.site.switches) if self._shows(row)]
        item_type = wire.membership(_TYPES[self.entity])
        return page(found, search, item_type, self.site.switches, self._written)

    def read(self, identity: Identity) -> Any:
        return self._written(self._existing(identity))

    def add(self, body: Any) -> Any:
        return self._written(self._stored(self._read_new(body)))

    def check(self, body: Any) -> None:
        self._read_new(body)

    def change(self, identity: Identity, body: Any) -> Any:
        if self.entity == "PartySummary":
            raise self._lacks("Update")
        old = self._existing(identity)
        sent = read_contact(body, old)
        row = complete_row({**old, **sent, "PartyId": old["PartyId"]}, old["CreatedOn"], self.site.local_now())
        self._refuse_unfit(row)
        self.site.contacts.put((row["PartyId"],), row)
        return self._written(row)

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        if self.entity != "Party" or operation.casefold() != "findbyalternateid":
            raise self._lacks(operation)
        wanted = [str(parameter).casefold() for parameter in parameters]
        for row in self.site.contacts.rows.values():
            for alternate, kind in row["AlternateIds"]:
                # Parameters are the id, or its type and the id.
                if wanted in ([alternate.casefold()], [kind.casefold(), alternate.casefold()]):
                    return self._written(row)
        raise NotFound("No contact has that alternate id.")

    def _shows(self, row: Row) -> bool:
        return self.entity != "Person" or not row["IsOrganization"]

    def _existing(self, identity: Identity) -> Row:
        row = self.site.contacts.get((one_element(identity),))
        if row is None or not self._shows(row):
            msg = f"{self.entity} {identity[0]} was not found."
            raise NotFound(msg)
        return row

    def _read_new(self, body: Any) -> Row:
        if self.entity == "PartySummary":
            raise self._lacks("Add")
        sent = read_contact(body)
        if self.entity == "Person":
            sent["IsOrganization"] = False
        sent.setdefault("IsOrganization", False)
        sent.setdefault("Status", ACTIVE)
        now = self.site.local_now()
        row = complete_row(sent, now, now)
        self._refuse_unfit(row)
        if row["PartyId"] and self.site.contacts.get((row["PartyId"],)) is not None:
            msg = f"There is a contact {row['PartyId']} already."
            raise DuplicateKey(msg)
        return row

    def _refuse_unfit(self, row: Row) -> None:
        problems = [] if row["Name"] else [Problem("LastName", "A contact needs a name.")]
        for column in COLUMNS:
            value = row[column.name]
            if column.max_length and value is not None and len(str(value)) > column.max_length:
                message = f"{column.name} must not be longer than {column.max_length} characters."
                problems.append(Problem(column.name, message, value))
        if problems:
            raise Invalid(self.entity, problems)

    def _stored(self, row: Row) -> Row:
        taken = [int(party) for (party,) in self.site.contacts.rows if party.isdigit()]
        row["PartyId"] = row["PartyId"] or str(max(taken, default=10000) + 1)
        row["UniformId"] = row["UniformId"] or uuid4()
        self.site.contacts.put((row["PartyId"],), row)
        return row

    def _written(self, row: Row) -> Any:
        if self.entity == "PartySummary":
            return summary_of(row, self.site.switches)
        write = organization_of if row["IsOrganization"] else person_of
        return write(row, self.site.switches)
