"""Back-pressure: what happens when events come faster than they can be stored."""

from __future__ import annotations

import asyncio

import pytest
from factories import a_valid_event

from learning_hub.model.errors import Unavailable
from learning_hub.publish import writer
from learning_hub.publish.writer import Writer
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database


async def test_the_backlog_is_bounded_in_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many bytes the answer is to come again; what waits is stored, and then there is room again."""
    monkeypatch.setattr(writer, "MAX_BACKLOG_BYTES", 3 * len(a_valid_event().data))
    async with database.connection() as connection:
        await connection.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    stopped = Writer(database, Bells(database))
    waiting = [
        asyncio.create_task(stopped.publish(a_valid_event(PublisherEventId=f"AI:{number}"))) for number in range(3)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refusal:
        await stopped.publish(a_valid_event(PublisherEventId="AI:one-too-many"))
    assert refusal.value.retry_after_seconds == 1
    job = asyncio.create_task(stopped.run())
    assert {published.status for published in await asyncio.gather(*waiting)} == {"stored"}
    await stopped.publish(a_valid_event(PublisherEventId="AI:one-more"))
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
