"""learning-hub program …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_end, add_list, add_show
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_object


@click.group()
def program() -> None:
    """Programs: the organisations whose learning is recorded."""


@program.command()
@click.argument("program_id", metavar="ID")
@click.option("--name", required=True, help="Name of the Program.")
@json_option
def put(*, program_id: str, name: str, as_json: bool) -> None:
    """Make or rename a Program."""

    async def put_program(hub: Hub) -> Any:
        saved, _ = await hub.services.programs.put(hub.caller, program_id, fields_of({"Name": name}))
        return saved

    print_object(call(put_program), as_json=as_json)


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.model.pagination import PageQuery

    return await hub.services.programs.page(hub.caller, read_options(options, PageQuery))


async def _get(hub: Hub, program_id: str) -> Any:
    return await hub.services.programs.get(hub.caller, program_id)


async def _archive(hub: Hub, program_id: str) -> None:
    await hub.services.programs.archive(hub.caller, program_id)


add_list(program, _page, ["ProgramId", "Name", "CreatedUtc", "ArchivedUtc"], "List the Programs.")
add_show(program, _get, "Show a Program.")
add_end(
    program,
    _archive,
    _get,
    "archive",
    "archived",
    "Archive a Program: it accepts and sends no more events, its history stays.",
)
