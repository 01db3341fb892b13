"""
The hub's services in this process, over the database of the settings and without a server.

A command calls what the API calls, so validation, audit and results are the same. In the audit log the caller is
`cli`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    import msgspec
    from msgspec import Raw

    from learning_hub.model.caller import Caller
    from learning_hub.services.registry import Services
    from learning_hub.settings import Settings

T = TypeVar("T")
S = TypeVar("S", bound="msgspec.Struct")

Options = Mapping[str, Any]


class Hub:
    """The services that a command calls, and the *caller* that it calls them as."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self.services = services
        self.caller = caller


def call(work: Callable[[Hub], Awaitable[T]], *, with_worker: bool = False) -> T:
    """
    The result of *work* with the services of the settings' database.

    Args:
        work: The work of the command.
        with_worker: Whether to send deliveries meanwhile, for commands that wait for them.
    """
    from learning_hub.cli.startup import begin_command

    settings = begin_command()
    # Also false if the parent folder may not be searched, which opening the database reports.
    if settings.database_url is None and not os.access(settings.home, os.F_OK):
        click.echo(f"LEARNING_HUB_DATABASE_URL is not set; making a database in {settings.home.resolve()}.", err=True)

    async def whole() -> T:
        async with open_hub(settings, with_worker=with_worker) as hub:
            return await work(hub)

    return asyncio.run(whole())


@asynccontextmanager
async def open_hub(settings: Settings, *, with_worker: bool = False) -> AsyncIterator[Hub]:
    """The services over the database of *settings*, with a worker of this process if deliveries are to be sent."""
    from learning_hub.main import run_services
    from learning_hub.model.caller import COMMAND_LINE
    from learning_hub.store.database_server import open_database

    async with (
        # An embedded database is migrated automatically; operators decide when to migrate the database of a server.
        open_database(settings, migrate=settings.database_url is None) as database,
        run_services(settings, database, with_worker=with_worker, with_jobs=with_worker, with_schedules=False) as (
            services,
            _,
        ),
    ):
        yield Hub(services, COMMAND_LINE)


def read_options(options: Options, struct: type[S]) -> S:
    """
    *options*, named as the API's query parameters, as a *struct*; those that are None are left out.

    Raises:
        InvalidFields: With every bad option.
    """
    from learning_hub.model.query_parameters import read_query

    return read_query([(name, str(value)) for name, value in options.items() if value is not None], struct)


def fields_of(body: Any) -> dict[str, Raw]:
    """
    The fields of a body as a service takes them.

    Args:
        body: JSON as bytes, or a JSON value.

    Raises:
        InvalidInput: The body is not a JSON object.
    """
    from learning_hub.model.fields import read_object
    from learning_hub.model.json_values import write_json

    return read_object(body if isinstance(body, bytes) else write_json(body))
