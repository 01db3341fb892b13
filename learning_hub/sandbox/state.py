"""The data of a site as plain JSON, for tests and the demo (`GET /_sandbox/state`)."""

from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.contact import COLUMNS
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Row


def state_of(site: Site) -> dict[str, Any]:
    """
    Contacts, activity types, activities and panel rows, each in insertion order.

    Dates are text, decimals are numbers with all stored digits, and nulls are included.
    """
    activities = [
        {"Id": seqn, "PartyId": row["PartyId"], "Properties": _plain(row)}
        for (seqn,), row in site.activities.rows.items()
    ]
    panels = site.panels.values()
    return {
        "Contacts": [_contact(row) for row in site.contacts.rows.values()],
        "ActivityTypes": [name for (name,) in site.activity_types.rows],
        "Activities": activities,
        "Panels": {panel.name: [_plain(row) for row in panel.table.rows.values()] for panel in panels},
        "AvailableViaRest": {panel.name: panel.available_via_rest for panel in panels},
        "Tokens": len(site.tokens.live),
        "WrongPasswords": site.account.wrong_passwords,
    }


def _plain(row: Row) -> dict[str, Any]:
    return {name: wire.as_plain(value) for name, value in row.items()}


def _contact(row: Row) -> dict[str, Any]:
    return {column.name: wire.as_plain(row[column.name]) for column in COLUMNS}
