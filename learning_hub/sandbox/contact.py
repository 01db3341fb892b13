"""The contacts of the site: people and organisations in one table."""

from datetime import datetime
from typing import Any
from uuid import UUID

from learning_hub.sandbox import seeds
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.table import Row, Table

NAME_PARTS = (
    "NamePrefix",
    "FirstName",
    "MiddleName",
    "LastName",
    "NameSuffix",
    "InformalName",
    "Designation",
)

COLUMNS = (
    Column(name="PartyId", max_length=10, is_identity=True),
    Column(name="UniformId", kind="guid"),
    Column(name="Email", max_length=100),
    Column(name="Phone", max_length=25),
    *(Column(name=name, max_length=100) for name in NAME_PARTS),
    Column(name="Name", max_length=255),
    Column(name="Sort", max_length=255),
    Column(name="CityName", max_length=40),
    Column(name="CountryName", max_length=60),
    Column(name="CountrySubEntityName", max_length=60),
    Column(name="IsOrganization", kind="boolean"),
    Column(name="Status", max_length=5),
    Column(name="CreatedOn", kind="date"),
    Column(name="UpdatedOn", kind="date"),
)

ACTIVE = "A"
STATUS_NAMES = {"A": "Active", "I": "Inactive"}


def seeded_contacts(now: datetime) -> Table:
    """The seeded contacts; *now* is local time."""
    table = Table(COLUMNS, {"Id": "PartyId"})
    for seed in seeds.CONTACTS:
        row = {
            "PartyId": seed.party_id,
            "UniformId": UUID(seed.uniform_id),
            "Email": seed.email,
            "FirstName": seed.first_name,
            "LastName": None if seed.is_organization else seed.last_name,
            "Name": seed.last_name if seed.is_organization else None,
            "CityName": seed.city,
            "CountryName": seed.country,
            "IsOrganization": seed.is_organization,
            "Status": ACTIVE if seed.is_active else "I",
            "AlternateIds": [(seed.alternate_id, "LMS")] if seed.alternate_id else [],
        }
        table.put((seed.party_id,), complete_row(row, now, now))
    return table


def complete_row(values: dict[str, Any], created: datetime, updated: datetime) -> Row:
    """A row with every column; full name and sort name are built from the parts of the name."""
    row = {column.name: values.get(column.name) for column in COLUMNS}
    row["AlternateIds"] = values.get("AlternateIds", [])
    row["OtherEmails"] = values.get("OtherEmails", [])
    row["Extra"] = values.get("Extra", {})
    if not row["IsOrganization"]:
        row["Name"] = " ".join(part for part in (row["FirstName"], row["LastName"]) if part)
    sort = [row["LastName"], row["FirstName"]] if not row["IsOrganization"] else [row["Name"]]
    row["Sort"] = ", ".join(part.upper() for part in sort if part)
    row["CreatedOn"], row["UpdatedOn"] = created, updated
    return row
