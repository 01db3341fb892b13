"""learning-hub program …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.local import ask
from learning_hub.cli.nouns import add_delete, add_list, add_show, path_of
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_object


@click.group()
def program() -> None:
    """Programs: the organisations whose learning is recorded."""


@program.command()
@click.argument("program_id", metavar="ID")
@click.option("--name", required=True, help="What people call it.")
@json_option
def put(*, program_id: str, name: str, as_json: bool) -> None:
    """Make a Program, or give it another name."""
    print_object(ask("PUT", path_of("programs", program_id), body={"Name": name}), as_json=as_json)


add_list(program, "programs", ["ProgramId", "Name", "CreatedUtc", "ArchivedUtc"], "List the Programs.")
add_show(program, "programs", "Show a Program.")
add_delete(
    program, "programs", "archive", "archived", "Archive a Program: it takes and sends nothing more, its history stays."
)
