"""The only place where the parts of the hub are put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from learning_hub.api.app import build_app
from learning_hub.api.edge import Edge
from learning_hub.api.hub import Hub
from learning_hub.api.keyring import Keyring
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.writer import Writer
from learning_hub.settings import Settings
from learning_hub.store import migrations
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Database]:
    """The database of the settings: the embedded one started where none is named, and brought up to date."""
    async with AsyncExitStack() as stack:
        address = settings.database_url
        if address is None:
            server = EmbeddedServer(settings.home)
            address = await server.start()
            stack.push_async_callback(server.stop)
        if migrate:
            await migrations.migrate(address)
        elif missing := await migrations.missing(address):
            raise RuntimeError(f"The database is not up to date; missing: {', '.join(missing)}.")
        database = Database(address, max_connections=settings.max_connections)
        await database.open()
        stack.push_async_callback(database.close)
        yield database


@asynccontextmanager
async def run_hub(settings: Settings, database: Database, *, with_worker: bool = True) -> AsyncIterator[Edge]:
    """One hub process over an open database: its parts put together and running."""
    bells = Bells(database)
    writer = Writer(database, bells)
    keyring = Keyring(database, settings.admin_key)
    hub = Hub(
        settings=settings,
        database=database,
        bells=bells,
        keyring=keyring,
        publisher=Publisher(database, bells, writer),
        readiness=lambda: _readiness(database),
    )
    jobs = [bells.announce(), bells.listen(), writer.run(), keyring.note_use()]
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield build_app(hub)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await keyring.flush()


async def _readiness(database: Database) -> tuple[bool, list[str]]:
    return True, []
