"""A reconciliation that a command asks for: answer by answer to its end, and what is put back until it is there."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Api
from learning_hub.cli.nouns import path_of
from learning_hub.cli.printing import print_fields, print_json, print_table
from learning_hub.cli.running import COUNTS, end_of_run

LISTS = ("Missing", "Different", "Unknown")


async def reconcile_to_the_end(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """
    All that the API finds at *path*, whole: the fields of its answers put together, and the runs that put back.

    Each record that is missing is put back where *body* says so; the runs have ended.
    """
    found: dict[str, Any] = {"There": 0, **{name: [] for name in LISTS}, "Runs": []}
    while True:
        answer = (await api.ask("POST", path, body=body)).value
        found["There"] += answer["There"]
        for name in LISTS:
            found[name] += answer[name]
        if answer["RunId"]:
            found["Runs"].append((await end_of_run(api, path_of("runs", answer["RunId"]))).value)
        if answer["NextCursor"] is None:
            return found
        body = body | {"Cursor": answer["NextCursor"]}


def print_reconciliation(found: dict[str, Any], *, as_json: bool) -> None:
    """How many records are there, and each of those that are not as they were sent."""
    if as_json:
        from learning_hub.model.json_values import write_json

        print_json(write_json(found))
        return
    print_fields({"There": found["There"], **{name: len(found[name]) for name in LISTS}})
    for name, columns in (("Missing", []), ("Different", ["Fields"]), ("Unknown", ["Message"])):
        if found[name]:
            click.echo(f"\n{name}:")
            print_table(found[name], ["EventId", "SubscriberRecordId", *columns])
    for run in found["Runs"]:
        click.echo("\nPut back:")
        print_fields({"RunId": run["RunId"], **{name: run["Counts"][name] for name in COUNTS}})
