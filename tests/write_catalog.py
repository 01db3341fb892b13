"""Writes learning_hub/store/catalog.json from schema.sql: `make catalog`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import asyncpg

from learning_hub.store import catalog, migrations
from learning_hub.store.embedded import EmbeddedServer

FILE = migrations.HERE / "catalog.json"


async def text_of_schema(address: str) -> str:
    """The text of the file, by an empty database at *address*, which has the schema afterwards."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(migrations.SCHEMA_FILE.read_text(encoding="utf-8"))
        return catalog.written_objects(await catalog.read_objects(connection))
    finally:
        await connection.close()


async def _write() -> None:
    with tempfile.TemporaryDirectory() as home:
        server = EmbeddedServer(Path(home))
        try:
            FILE.write_text(await text_of_schema(await server.start()), encoding="utf-8")
        finally:
            await server.stop()


if __name__ == "__main__":
    asyncio.run(_write())
