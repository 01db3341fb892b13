"""learning-hub work."""

from __future__ import annotations

import rich_click as click


@click.command()
@click.option("--no-migrate", is_flag=True, help="Refuse to start on a database that is not up to date.")
def work(*, no_migrate: bool) -> None:
    """Make and send deliveries, without HTTP, until SIGTERM or Ctrl-C."""
    import asyncio

    from learning_hub.cli.serving.stopping import run_until_stopped
    from learning_hub.cli.startup import begin_service
    from learning_hub.main import run_worker
    from learning_hub.store.database_server import open_database

    settings = begin_service()

    async def deliver() -> None:
        async with open_database(settings, migrate=not no_migrate) as database, run_worker(settings, database):
            click.echo("Delivering. Stop with Ctrl-C.")
            await asyncio.Event().wait()

    run_until_stopped(deliver())
