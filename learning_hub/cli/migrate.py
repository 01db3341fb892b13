"""learning-hub migrate."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_json


@click.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """Migrate the database; a database that is up to date is not changed."""
    import asyncio

    from learning_hub.cli.startup import begin_command
    from learning_hub.store.database_server import bring_up_to_date, run_database_server

    settings = begin_command()

    async def apply() -> None:
        async with run_database_server(settings) as address:
            await bring_up_to_date(address)

    asyncio.run(apply())
    if as_json:
        print_json({"UpToDate": True})
    else:
        click.echo("The database is up to date.")
