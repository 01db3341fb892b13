"""Checking that this process can store an event."""

from __future__ import annotations

import asyncio

from learning_hub.model.errors import Unavailable
from learning_hub.model.ids import new_uuid
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("storing")

PROBE_SECONDS = 3.0


async def need_storable(database: Database) -> None:
    """
    Store an event and delete it in the same transaction, which is committed and leaves nothing.

    Raises:
        Unavailable: The event could not be stored within PROBE_SECONDS.
    """
    uuid = new_uuid()
    try:
        async with asyncio.timeout(PROBE_SECONDS), database.transaction() as connection:
            await connection.execute(queries.store_probe, uuid)
            await connection.execute(queries.delete_probe, uuid)
    except TimeoutError as error:
        raise Unavailable(f"The database did not store an event within {PROBE_SECONDS:.0f} seconds.") from error
