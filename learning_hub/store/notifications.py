"""
Notifications: how one part of the hub tells another that there is something to do.

A topic only saves waiting. Whoever waits on one also looks by itself from time to time, so a ring that gets lost (a
listener that was reconnecting, a hub that died before ringing) delays the work and loses nothing.
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
QUIET_SECONDS = 0.05  # NOTIFY takes a lock of the whole server at commit, so rings are gathered


class Topic:
    """Wakes everyone who waits on it; a ring between two waits is not missed by a waiter that remembers `count`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wake all who wait."""
        self.count += 1
        self._woken.set()
        self._woken = asyncio.Event()

    async def wait(self, seconds: float, seen: int | None = None) -> None:
        """Until the topic is woken or *seconds* are over; at once when it rang since its count was *seen*."""
        if seen is not None and seen != self.count:
            return
        try:
            # Not wait_for, which forgets that it was cancelled when the topic is woken at that moment.
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return


class Notifications:
    """
    The hub's notifications, heard in every process on the same database.

    *feed* rings when an entry was committed; *deliveries* when one fell due; *schedules* when a time of a schedule may
    have to be run that was not known of. *is_closed* says that the hub stops: nobody should wait for them any
    longer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.feed = Topic("feed")
        self.deliveries = Topic("deliveries")
        self.schedules = Topic("schedules")
        self._by_name = {topic.name: topic for topic in (self.feed, self.deliveries, self.schedules)}
        self._to_publish: set[str] = set()
        self._something = asyncio.Event()
        self.is_closed = False

    def close(self) -> None:
        """Wake all who wait in this process, for good."""
        self.is_closed = True
        for topic in self._by_name.values():
            topic.wake()

    def notify(self, topic: Topic) -> None:
        """Ring here at once and, a moment later, in the other processes."""
        topic.wake()
        self._to_publish.add(topic.name)
        self._something.set()

    async def publish(self) -> None:
        """Carry rings to the other processes, until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            names, self._to_publish = self._to_publish, set()
            try:
                await self._database.fetch(queries.ring, CHANNEL, sorted(names))
            except Exception as error:  # noqa: BLE001 - a lost ring only delays
                log.debug("ring_lost", extra={"error": type(error).__name__})
            await asyncio.sleep(QUIET_SECONDS)

    async def listen(self) -> None:
        """Hear rings from other processes, reconnecting as needed, until cancelled."""
        while True:
            try:
                await self._listen_once()
            except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
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
            await connection.add_listener(CHANNEL, self._heard)
            await gone.wait()
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, name: object) -> None:
        topic = self._by_name.get(str(name))
        if topic:
            topic.wake()
