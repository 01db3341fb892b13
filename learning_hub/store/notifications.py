"""
Notifications: how one part of the hub wakes another, in its own process and in others (LISTEN and NOTIFY).

A notification only shortens a wait. Every waiter also polls, so a lost notification delays work and loses nothing.
Notifications are lost while the listener reconnects, or when a hub dies before it has published.
"""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from learning_hub.store.database import Connection, Database
from learning_hub.store.driver_errors import DATABASE_AWAY
from learning_hub.store.queries import Queries

log = logging.getLogger(__name__)
queries = Queries("notifications")

CHANNEL = "learning_hub"
# Seconds for which notifications are collected, because NOTIFY takes a server-wide lock at commit.
COLLECT_SECONDS = 0.05


class Topic:
    """Wakes all its waiters; a waiter that remembers `count` also notices a wake-up between two waits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wake all waiters in this process."""
        self.count += 1
        self._woken.set()
        self._woken = asyncio.Event()

    async def wait(self, seconds: float, seen: int | None = None) -> None:
        """Return when the topic wakes, or after *seconds*; at once if it has woken since its count was *seen*."""
        if seen is not None and seen != self.count:
            return
        try:
            # Not wait_for, which loses a cancellation that arrives at the same moment as the wake-up.
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return


class Notifications:
    """
    The topics of the hub, shared by all processes on one database.

    *feed* wakes when an entry was committed; *deliveries* when a delivery may be due; *schedules* when a schedule may
    have a new next time; *changes* when a change of many deliveries began. *is_closed* is true when the hub stops;
    waiters should then return.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.feed = Topic("feed")
        self.deliveries = Topic("deliveries")
        self.schedules = Topic("schedules")
        self.changes = Topic("changes")
        topics = (self.feed, self.deliveries, self.schedules, self.changes)
        self._by_name = {topic.name: topic for topic in topics}
        self._to_publish: set[str] = set()
        self._pending = asyncio.Event()
        self.is_closed = False

    def close(self) -> None:
        """Wake all waiters in this process, because the hub stops."""
        self.is_closed = True
        for topic in self._by_name.values():
            topic.wake()

    def notify(self, topic: Topic) -> None:
        """Wake the waiters of *topic* in this process at once and, a moment later, in the other processes."""
        topic.wake()
        self._to_publish.add(topic.name)
        self._pending.set()

    async def publish(self) -> None:
        """Publish notifications to the other processes, until cancelled."""
        while True:
            await self._pending.wait()
            await self.flush()
            await asyncio.sleep(COLLECT_SECONDS)

    async def flush(self) -> None:
        """Publish the collected notifications. A failure is only logged, as a lost notification only delays work."""
        self._pending.clear()
        names, self._to_publish = self._to_publish, set()
        if not names:
            return
        try:
            await self._database.fetch(queries.notify, CHANNEL, sorted(names))
        except asyncio.CancelledError:
            # The caller that cancels the job then flushes the remaining names.
            self._to_publish |= names
            raise
        except Exception as error:  # noqa: BLE001 - a lost notification only delays
            log.debug("ring_lost", extra={"error": type(error).__name__})

    async def listen(self) -> None:
        """Receive notifications of other processes, reconnecting as needed, until cancelled."""
        while True:
            try:
                await self._listen_once()
            except (*DATABASE_AWAY, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
                log.debug("listener_lost", extra={"error": type(error).__name__})
            except Exception:
                log.exception("listener_failed")
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        connection: Connection = await asyncpg.connect(
            self._database.address, timeout=10, server_settings={"application_name": "learning-hub"}
        )
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_: gone.set())
            await connection.add_listener(CHANNEL, self._receive)
            await gone.wait()
        finally:
            connection.terminate()

    def _receive(self, _connection: object, _pid: int, _channel: str, name: object) -> None:
        topic = self._by_name.get(str(name))
        if topic:
            topic.wake()
