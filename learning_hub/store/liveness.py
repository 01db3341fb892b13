"""
Whether a worker is there: a lock in the database that lives exactly as long as the worker's connection.

When a worker is killed, PostgreSQL drops its lock at once, and what it held need not wait for its lease to run out.
A worker that loses its own lock is told, because the others take it for gone from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable

import asyncpg

from learning_hub.store.database import Connection, Database
from learning_hub.store.driver_errors import DATABASE_AWAY
from learning_hub.store.queries import Queries

log = logging.getLogger(__name__)
queries = Queries("liveness")

LOOK_EVERY_SECONDS = 2
ANSWER_SECONDS = 5
COME_BACK_SECONDS = 0.5


class LivenessLock:
    """
    One worker's lock.

    *number* is what its leases carry; None while it has no lock, and then it must not take any.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.number: int | None = None

    async def keep(self, on_lost: Callable[[], None]) -> None:
        """Hold the lock, and take a new one whenever it was lost, until cancelled; *on_lost* is called each time."""
        while True:
            try:
                await self._hold_once()
            except (*DATABASE_AWAY, asyncpg.PostgresError):
                pass
            except Exception:
                log.exception("presence_failed")
            finally:
                was_there, self.number = self.number is not None, None
            if was_there:
                log.warning("presence_lost")
                on_lost()
            await asyncio.sleep(COME_BACK_SECONDS)

    async def _hold_once(self) -> None:
        connection: Connection = await asyncpg.connect(
            self._database.address, timeout=10, server_settings={"application_name": "learning-hub"}
        )
        try:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda *_: gone.set())
            number = secrets.randbelow(2**62)
            await connection.execute(queries.lock, number)
            self.number = number
            while not gone.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_SECONDS):
                        await gone.wait()
                # A connection through a dead network does not end by itself.
                await connection.fetchval(queries.look, timeout=ANSWER_SECONDS)
        finally:
            connection.terminate()
