"""Back-pressure: what happens when events come faster than they can be stored."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from factories import a_valid_event
from running import eventually

from learning_hub.model.errors import Unavailable
from learning_hub.publish import writer
from learning_hub.publish.writer import Writer
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

pytestmark = pytest.mark.quick


async def test_the_backlog_is_bounded_in_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many bytes the answer is to come again; what waits is stored, and then there is room again."""
    monkeypatch.setattr(writer, "MAX_BACKLOG_BYTES", 3 * len(a_valid_event().publisher_event_data))
    async with database.connection() as connection:
        await connection.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    stopped = Writer(database, Notifications(database))
    waiting = [
        asyncio.create_task(stopped.publish(a_valid_event(PublisherEventId=f"AI:{number}"))) for number in range(3)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refusal:
        await stopped.publish(a_valid_event(PublisherEventId="AI:one-too-many"))
    assert refusal.value.retry_after_seconds == 1
    job = asyncio.create_task(stopped.run())
    assert {published.outcome for published in await asyncio.gather(*waiting)} == {"stored"}
    await stopped.publish(a_valid_event(PublisherEventId="AI:one-more"))
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_hanging_up_makes_no_room(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event whose publisher has hung up still waits to be written: it counts until it is."""
    monkeypatch.setattr(writer, "MAX_BACKLOG_BYTES", 3 * len(a_valid_event().publisher_event_data))
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    stopped = Writer(database, Notifications(database))
    for number in range(3):
        waiting = asyncio.create_task(stopped.publish(a_valid_event(PublisherEventId=f"AI:{number}")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(stopped.publish(a_valid_event(PublisherEventId="AI:one-too-many")), 1)
    job = asyncio.create_task(stopped.run())

    async def has_room() -> bool:
        with contextlib.suppress(Unavailable):
            await stopped.publish(a_valid_event(PublisherEventId="AI:one-more"))
            return True
        return False

    await eventually(has_room)
    assert await database.fetchval("SELECT count(*) FROM event") == 4
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_the_backlog_holds_no_more_than_its_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that would pass the bound is refused; one that is larger than the bound is taken when it comes alone."""
    size = len(a_valid_event().publisher_event_data)
    monkeypatch.setattr(writer, "MAX_BACKLOG_BYTES", size + size // 2)
    stopped = Writer(database, Notifications(database))
    large = a_valid_event(PublisherEventData={"text": "x" * 3 * size})
    first = asyncio.create_task(stopped.publish(large))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(stopped.publish(a_valid_event(PublisherEventId="AI:2")), 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
