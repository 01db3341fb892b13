"""Party, Person and PartySummary: three views of the same contacts (section 10)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import ACTIVE, COLUMNS, NAME_PARTS, STATUS_NAMES, complete_row
from learning_hub.sandbox.errors import BadRequest, DuplicateKey, Invalid, NotFound, Problem
from learning_hub.sandbox.search import matching, page, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.switches import Switches
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
        sent = _read_contact(body)
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
        sent = _read_contact(body)
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
            return _summary(row, self.site.switches)
        return _person(row) if not row["IsOrganization"] else _organization(row)


def _read_contact(body: Any) -> Row:
    """The values in a contact as sent, members in any case; what the sandbox does not keep is passed over."""
    if not isinstance(body, dict) or not body:
        raise BadRequest("The request body must be a JSON object.")
    values: Row = {}
    names = wire.member(body, "PersonName")
    for name in NAME_PARTS:
        _take(values, name, wire.member(names, name), wire.member(body, name))
    for name in ("Email", "Phone", "Name", "CityName", "CountryName"):
        _take(values, name, wire.member(body, name))
    _take(values, "PartyId", wire.member(body, "PartyId"), wire.member(body, "Id"))
    _take(values, "Email", _primary_email(body))
    _take(values, "Status", wire.member(wire.member(body, "Status"), "PartyStatusId"))
    if "OrganizationData" in str(body.get("$type")) or wire.unwrap(wire.member(body, "IsOrganization")) is True:
        values["IsOrganization"] = True
    alternates = wire.member(body, "AlternateIds")
    if alternates is not None:
        pairs = ((wire.member(item, "Id"), wire.member(item, "IdType")) for item in wire.values_of(alternates))
        values["AlternateIds"] = [(str(identifier), str(kind or "")) for identifier, kind in pairs if identifier]
    return values


def _take(values: Row, name: str, *candidates: Any) -> None:
    """Keep the first text among *candidates* under *name*."""
    for candidate in candidates:
        value = wire.unwrap(candidate)
        if isinstance(value, str | int) and not isinstance(value, bool):
            values[name] = str(value)
            return


def _primary_email(body: Any) -> Any:
    emails = wire.values_of(wire.member(body, "Emails"))
    primary = [email for email in emails if wire.unwrap(wire.member(email, "IsPrimary")) is True]
    return wire.member(next(iter(primary or emails), None), "Address")


def _summary(row: Row, switches: Switches) -> Any:
    members = {
        "CityName": row["CityName"],
        "CountryName": row["CountryName"],
        "Email": row["Email"],
        "Phone": row["Phone"],
        "IsOrganization": row["IsOrganization"] or (False if switches.false_in_contacts else None),
    }
    return _without_nulls("PartySummaryData", members | _party(row))


def _party(row: Row) -> dict[str, Any]:
    """The members that every view of a contact has."""
    status = row["Status"]
    unique = row["UniformId"]
    return {
        "PartyId": row["PartyId"],
        "Id": row["PartyId"],
        "UniformId": str(unique) if isinstance(unique, UUID) else unique,
        "Status": {
            "$type": wire.membership("PartyStatusData"),
            "PartyStatusId": status,
            "Name": STATUS_NAMES.get(status, status),
            "Description": STATUS_NAMES.get(status, status),
        },
        "Name": row["Name"],
        "Sort": row["Sort"],
    }


def _person(row: Row) -> Any:
    names = {name: row[name] for name in NAME_PARTS} | {"FullName": row["Name"]}
    return _without_nulls(
        "PersonData", {"PersonName": _without_nulls("PersonNameData", names)} | _details(row) | _party(row)
    )


def _organization(row: Row) -> Any:
    return _without_nulls("OrganizationData", {"OrganizationName": row["Name"]} | _details(row) | _party(row))


def _details(row: Row) -> dict[str, Any]:
    alternates = [
        {"$type": wire.core("AlternateIdData"), "Id": identifier, "IdType": kind}
        for identifier, kind in row["AlternateIds"]
    ]
    email = {
        "$type": wire.membership("EmailData"),
        "Address": row["Email"],
        "EmailType": "_Primary",
        "IsPrimary": True,
    }
    return {
        "Emails": wire.collection(wire.membership("EmailDataCollection"), [email] if row["Email"] else []),
        "AlternateIds": wire.collection(wire.core("AlternateIdDataCollection"), alternates),
        "UpdateInformation": {
            "$type": wire.core("UpdateInformationData"),
            "CreatedBy": "SANDBOX",
            "CreatedOn": wire.date_text(row["CreatedOn"]),
            "UpdatedBy": "SANDBOX",
            "UpdatedOn": wire.date_text(row["UpdatedOn"]),
        },
    }


def _without_nulls(type_name: str, members: dict[str, Any]) -> Any:
    kept = {name: value for name, value in members.items() if value is not None}
    return {"$type": wire.membership(type_name), **kept}
