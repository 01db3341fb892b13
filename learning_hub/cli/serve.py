"""learning-hub serve."""

from __future__ import annotations

import asyncio

import rich_click as click

from learning_hub.cli.options import json_option

POLL_SECONDS = 0.2
LIMIT_SECONDS = 60


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 for a free one.",
)
@click.option("--no-worker", is_flag=True, help="Take events and make deliveries; leave sending to other processes.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Hub processes that share the port."
)
@click.option("--no-migrate", is_flag=True, help="Refuse to start on a database that is not up to date.")
@json_option
def serve(*, host: str, port: int, no_worker: bool, processes: int, no_migrate: bool, as_json: bool) -> None:
    """
    Serve the hub until SIGTERM or Ctrl-C.

    The hub migrates the database first. If LEARNING_HUB_DATABASE_URL is not set, the hub starts an embedded PostgreSQL
    server, with its data under LEARNING_HUB_HOME.
    """
    from learning_hub.cli.serving.server import address_of, announce, bind, listen, serve_app
    from learning_hub.cli.serving.stopping import run_until_stopped
    from learning_hub.cli.serving.worker_processes import run_worker_processes
    from learning_hub.cli.startup import begin_service
    from learning_hub.main import run_hub
    from learning_hub.store.database_server import bring_up_to_date, open_database, run_database_server

    settings = begin_service()
    listener = bind(host, port)

    async def serve_here() -> None:
        async with (
            open_database(settings, migrate=not no_migrate) as database,
            run_hub(settings, database, with_worker=not no_worker) as app,
        ):
            listen(listener)
            announce(listener, settings, as_json=as_json)
            await serve_app(app, listener, settings)

    async def serve_in_processes() -> None:
        async with run_database_server(settings) as address:
            await bring_up_to_date(address, migrate=not no_migrate)
            listen(listener)
            async with asyncio.TaskGroup() as group:
                group.create_task(run_worker_processes(processes, listener, address, with_worker=not no_worker))
                await until_served(address_of(listener))
                announce(listener, settings, as_json=as_json)

    with listener:
        run_until_stopped(serve_here() if processes == 1 else serve_in_processes())


async def until_served(address: str) -> None:
    """Wait until a hub answers at *address*; a process that ends before it has answered is started again."""
    import httpx

    # The listener accepts connections at once; they wait for the first worker process.
    async with httpx.AsyncClient(base_url=address, timeout=LIMIT_SECONDS, trust_env=False) as client:
        while True:
            try:
                await client.get("/health/live")
            except httpx.TransportError:
                await asyncio.sleep(POLL_SECONDS)
            else:
                return
