"""The reconciliation of a command: all its pages, and the runs that send missing records again, to their end."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, fields_of
from learning_hub.cli.printing import print_fields, print_json, print_table, values_of
from learning_hub.cli.running import COUNTS, end_of_run

LISTS = ("Missing", "Different", "Doubled", "Unknown")


async def reconcile_to_the_end(hub: Hub, subscription_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """
    The whole reconciliation: the combined fields of all pages, and the finished runs that sent missing records again.

    Missing records are sent again only if *body* says so.
    """
    found: dict[str, Any] = {"There": 0, **{name: [] for name in LISTS}, "Runs": []}
    while True:
        result = await hub.services.reconciliations.reconcile(hub.caller, subscription_id, fields_of(body))
        values = values_of(result)
        found["There"] += values["There"]
        for name in LISTS:
            found[name] += values[name]
        if result.run_id:
            found["Runs"].append(values_of(await end_of_run(hub, result.run_id)))
        if result.next_cursor is None:
            return found
        body = body | {"Cursor": result.next_cursor}


def print_reconciliation(found: dict[str, Any], *, as_json: bool) -> None:
    """The number of records held as they were sent, and each of the others."""
    if as_json:
        print_json(found)
        return
    print_fields({"There": found["There"], **{name: len(found[name]) for name in LISTS}})
    for name, columns in (
        ("Missing", ["SubscriberRecordId"]),
        ("Different", ["SubscriberRecordId", "Fields"]),
        ("Doubled", ["SubscriberRecordIds"]),
        ("Unknown", ["SubscriberRecordId", "Message"]),
    ):
        if found[name]:
            click.echo(f"\n{name}:")
            print_table(found[name], ["EventId", *columns])
    for run in found["Runs"]:
        click.echo("\nSent again:")
        print_fields({"RunId": run["RunId"], **{name: run["Counts"][name] for name in COUNTS}})
