"""The writer without a hub, and another process that is in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from running import eventually

from learning_hub.model.clock import now
from learning_hub.model.event import Classification
from learning_hub.model.ids import new_uuid
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.submission import Published
from learning_hub.publish.writer import Writer
from learning_hub.store import events
from learning_hub.store.database import Connection, Database
from learning_hub.store.events import Appended
from learning_hub.store.notifications import Notifications


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[None]:
    """The writer runs until the block is left."""
    job = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


async def one_waits(database: Database) -> None:
    """Until somebody waits in the database for what another one holds."""
    waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"

    async def look() -> int:
        return int(await database.fetchval(f"{waiting} AND datname = current_database()"))

    await eventually(look)


async def publish_together(
    database: Database, arrivals: Sequence[ReceivedEvent], keys: Sequence[str | None] | None = None
) -> list[Published]:
    """Publish them so that one commit takes all of them; raises the error of a failed one once all have ended."""
    writer = Writer(database, Notifications(database))
    waiting = [
        asyncio.create_task(writer.publish(event, key))
        for event, key in zip(arrivals, keys or [None] * len(arrivals), strict=True)
    ]
    await asyncio.sleep(0)
    async with running(writer):
        await asyncio.gather(*waiting, return_exceptions=True)
    return [publishing.result() for publishing in waiting]


async def append(connection: Connection, event: ReceivedEvent) -> None:
    """What another process writes: the first entry of the event's source."""
    appended = Appended(
        event=event,
        event_uuid=new_uuid(),
        classification=Classification("new"),
        created_utc=now(),
    )
    assert await events.append_events(connection, [appended])
