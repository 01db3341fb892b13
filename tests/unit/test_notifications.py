"""Notifications wake their waiters, and a waiter can be cancelled."""

from __future__ import annotations

import asyncio

import pytest

from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications


async def test_who_is_told_to_stop_at_the_moment_of_a_ring_stops() -> None:
    """A cancellation is not lost when the topic is woken at the same moment."""
    topic = Notifications(Database("postgresql://nowhere.example.org/none")).deliveries

    async def wait_for_ever() -> None:
        while True:
            await topic.wait(60)

    task = asyncio.create_task(wait_for_ever())
    await asyncio.sleep(0.01)
    topic.wake()
    # The ring wakes the inner wait first, and the cancellation comes before the outer one goes on.
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bell_wakes_at_once_and_time_does_it_too() -> None:
    """A wake-up since the count was seen is not missed, and without one the wait ends after its time."""
    topic = Notifications(Database("postgresql://nowhere.example.org/none")).feed
    seen = topic.count
    topic.wake()
    async with asyncio.timeout(1):
        await topic.wait(60, seen)
        await topic.wait(0.01)
