"""The page at `/`: contacts, activities and panel rows as they arrive, and the control addresses."""

from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from learning_hub.sandbox import control, wire
from learning_hub.sandbox.panel import Panel
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.switches import describe_switches
from learning_hub.sandbox.table import Row, Table

SHOWN_ROWS = 50
SHOWN_REQUESTS = 15
# These have columns of their own; the transaction date is not shown, because it is the time of arrival.
_ACTIVITY_COLUMNS = ("PartyId", "SEQN", "ACTIVITY_TYPE", "DESCRIPTION", "EFFECTIVE_DATE", "TRANSACTION_DATE")
# These are long, and the same in every row.
_HIDDEN_PANEL_COLUMNS = ("CreatedByUserKey", "UpdatedByUserKey")

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
)


def render(site: Site, request: Request) -> str:
    """The page as HTML, newest rows first, at most 50 of each kind; it reloads itself every few seconds."""
    return _pages.get_template("page.html").render(
        address=f"http://{request.headers.get('host', 'localhost')}{site.switches.base_path}",
        username=site.account.username,
        contacts=_newest(site.contacts),
        contact_count=len(site.contacts.rows),
        activities=[_activity(site, row) for row in _newest(site.activities)],
        activity_count=len(site.activities.rows),
        panels=[_panel(site, panel) for panel in site.panels.values()],
        activity_types=[name for (name,) in islice(site.activity_types.rows, SHOWN_ROWS)],
        faults=[fault.as_json() for fault in site.faults.posted],
        requests=[entry.as_json() for entry in list(site.request_log.entries)[: -SHOWN_REQUESTS - 1 : -1]],
        request_count=site.request_log.total,
        switches=describe_switches(site.switches),
        control=control.OVERVIEW,
        shown_rows=SHOWN_ROWS,
    )


def _newest(table: Table) -> list[Row]:
    """The last rows of *table* as plain values, the newest first."""
    rows = islice(reversed(table.rows.values()), SHOWN_ROWS)
    return [{name: wire.as_plain(value) for name, value in row.items()} for row in rows]


def _activity(site: Site, row: Row) -> dict[str, Any]:
    others = [(name, value) for name, value in row.items() if value is not None and name not in _ACTIVITY_COLUMNS]
    return {"columns": row, "name": _name(site, row["PartyId"]), "others": others}


def _panel(site: Site, panel: Panel) -> dict[str, Any]:
    """A panel source, its columns, and its newest rows, each with the name of its contact."""
    columns = [column for column in panel.columns() if column.name not in _HIDDEN_PANEL_COLUMNS]
    rows = [(_name(site, row["ID"]), row) for row in _newest(panel.table)]
    return {"panel": panel, "columns": columns, "rows": rows, "count": len(panel.table.rows)}


def _name(site: Site, party_id: str) -> str:
    """The name of a contact; empty where the contact does not exist (switch UnknownParty)."""
    row = site.contacts.get((party_id,))
    return str(row["Name"]) if row else ""
