"""The wire format of contacts: PartySummaryData, PersonData and OrganizationData (sections 10.2 and 10.3)."""

from typing import Any
from uuid import UUID

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import NAME_PARTS, STATUS_NAMES
from learning_hub.sandbox.errors import UnreadableBody
from learning_hub.sandbox.switches import Switches
from learning_hub.sandbox.table import Row

_FLAT = ("CityName", "CountryName", "CountrySubEntityName", "Email", "Phone")
# Members that the sandbox does not use. It stores them as sent, so that a client that reads, changes and writes back
# a contact loses nothing. For each list the type of its items.
_EXTRA_LISTS = {
    "Phones": "PhoneData",
    "Addresses": "FullAddressData",
    "Salutations": "SalutationData",
    "SocialNetworks": "SocialNetworkData",
    "CommunicationTypePreferences": "CommunicationTypePreferenceData",
}
_EXTRA = (
    *("BirthDate", "Gender", "FunctionalTitle", "PrimaryOrganization"),
    *_EXTRA_LISTS,
    *("AdditionalAttributes", "WebsiteUrl"),
)
_EXTRA_OBJECTS = {"PrimaryOrganization": "PrimaryOrganizationInformationData", "Address": "AddressData"}


def read_contact(body: Any, old: Row | None = None) -> Row:
    """
    The values in the body of a contact, whose member names may have any letter case; unknown members are ignored.

    Args:
        body: As decoded.
        old: The contact to update. Where `Email` and `Emails` differ, the address that *old* lacks wins.

    Raises:
        UnreadableBody: It is not an object, or empty.
    """
    if not isinstance(body, dict) or not body:
        raise UnreadableBody("The request body must be a JSON object.")
    values: Row = {}
    names = wire.member(body, "PersonName")
    for name in NAME_PARTS:
        _take(values, name, wire.member(names, name), wire.member(body, name))
    _take(values, "Name", wire.member(body, "OrganizationName"), wire.member(body, "Name"))
    for name in _FLAT:
        _take(values, name, wire.member(body, name))
    _take(values, "PartyId", wire.member(body, "PartyId"), wire.member(body, "Id"))
    _take(values, "Status", wire.member(wire.member(body, "Status"), "PartyStatusId"))
    _read_emails(values, body, old["Email"] if old else None)
    if "OrganizationData" in str(body.get("$type")) or wire.unwrap(wire.member(body, "IsOrganization")) is True:
        values["IsOrganization"] = True
    alternates = wire.member(body, "AlternateIds")
    if alternates is not None:
        pairs = ((wire.member(item, "Id"), wire.member(item, "IdType")) for item in wire.values_of(alternates))
        values["AlternateIds"] = [(str(identifier), str(kind or "")) for identifier, kind in pairs if identifier]
    sent = {name: wire.member(body, name) for name in _EXTRA}
    values["Extra"] = (old["Extra"] if old else {}) | {name: value for name, value in sent.items() if value is not None}
    return values


def _take(values: Row, name: str, *candidates: Any) -> None:
    """Store the first text among *candidates* under *name*."""
    for candidate in candidates:
        value = wire.unwrap(candidate)
        if isinstance(value, str | int) and not isinstance(value, bool):
            values[name] = str(value)
            return


def _read_emails(values: Row, body: Any, old: str | None) -> None:
    """Store the primary address under `Email` and the others under `OtherEmails`."""
    sent = wire.member(body, "Emails")
    if sent is None:
        return
    emails = [email for email in wire.values_of(sent) if isinstance(wire.member(email, "Address"), str)]
    # The last primary address wins: one public client appends the new one and leaves the old one marked as primary.
    primary = [email for email in emails if wire.unwrap(wire.member(email, "IsPrimary")) is True][-1:] or emails[:1]
    others = [email for email in emails if email not in primary]
    values["OtherEmails"] = [
        (wire.member(email, "Address"), str(wire.member(email, "EmailType") or "")) for email in others
    ]
    address = wire.member(primary[0], "Address") if primary else None
    if address != old or "Email" not in values:
        values["Email"] = address


def summary_of(row: Row, switches: Switches) -> Any:
    return _without_nulls("PartySummaryData", _flat_members(row, switches) | _party(row))


def person_of(row: Row, switches: Switches) -> Any:
    names = {name: row[name] for name in NAME_PARTS} | {"FullName": row["Name"]}
    person = {"PersonName": _without_nulls("PersonNameData", names)}
    return _without_nulls("PersonData", _flat_members(row, switches) | person | _details(row) | _party(row))


def organization_of(row: Row, switches: Switches) -> Any:
    named = {"OrganizationName": row["Name"]}
    return _without_nulls("OrganizationData", _flat_members(row, switches) | named | _details(row) | _party(row))


def _flat_members(row: Row, switches: Switches) -> dict[str, Any]:
    is_organization = row["IsOrganization"] or (False if switches.false_in_contacts else None)
    return {name: row[name] for name in _FLAT} | {"IsOrganization": is_organization}


def _party(row: Row) -> dict[str, Any]:
    """The members that all three formats have."""
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


def _details(row: Row) -> dict[str, Any]:
    alternates = [
        {"$type": wire.core("AlternateIdData"), "Id": identifier, "IdType": kind}
        for identifier, kind in row["AlternateIds"]
    ]
    primary = [_email(row["Email"], "_Primary", is_primary=True)] if row["Email"] else []
    others = [_email(address, kind, is_primary=False) for address, kind in row["OtherEmails"]]
    return {
        **{name: _typed(name, row["Extra"].get(name)) for name in _EXTRA},
        "Emails": wire.collection(wire.membership("EmailDataCollection"), primary + others),
        "AlternateIds": wire.collection(wire.core("AlternateIdDataCollection"), alternates),
        "UpdateInformation": {
            "$type": wire.core("UpdateInformationData"),
            "CreatedBy": "SANDBOX",
            "CreatedOn": wire.date_text(row["CreatedOn"]),
            "UpdatedBy": "SANDBOX",
            "UpdatedOn": wire.date_text(row["UpdatedOn"]),
        },
    }


def _email(address: str, kind: str, *, is_primary: bool) -> Any:
    email = {"$type": wire.membership("EmailData"), "Address": address}
    if kind:
        email["EmailType"] = kind
    return email | ({"IsPrimary": True} if is_primary else {})


def _typed(name: str, value: Any) -> Any:
    """A stored extra member, with `$type` first in every object and `$values` in every collection."""
    if isinstance(value, list):
        item_type = _EXTRA_LISTS.get(name)
        if item_type is None:
            return wire.collection(wire.STRINGS, value)
        return _typed(name, {"$values": value})
    if not isinstance(value, dict):
        return value
    if "$values" in value:
        item_type = _EXTRA_LISTS.get(name)
        sent = value["$values"] if isinstance(value["$values"], list) else []
        items = [_typed(item_type or "", item) for item in sent]
        kind = value.get("$type") or (wire.membership(f"{item_type}Collection") if item_type else wire.STRINGS)
        return wire.collection(kind, items)
    class_name = _EXTRA_OBJECTS.get(name, name)
    kind = value.get("$type") or wire.membership(class_name or "ObjectData")
    members = {key: _typed(key, inner) for key, inner in value.items() if key != "$type" and inner is not None}
    return {"$type": kind, **members}


def _without_nulls(type_name: str, members: dict[str, Any]) -> Any:
    present = {name: value for name, value in members.items() if value is not None}
    return {"$type": wire.membership(type_name), **present}
