"""
The liveness lock: an advisory lock that a process holds as long as its connection to the database lives.

When a worker is killed, PostgreSQL releases its lock at once, so that other workers need not wait until its leases
expire. A worker is notified when it loses its lock, because the others take over its deliveries from then on.
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

CHECK_SECONDS = 2
RESPONSE_SECONDS = 5
RECONNECT_SECONDS = 0.5


class LivenessLock:
    """
    The liveness lock of one process.

    *number* identifies the lock, and is stored with the leases and runs of the process. It is None while the process
    does not hold the lock; the process must then claim nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.number: int | None = None

    async def keep(self, on_lost: Callable[[], None]) -> None:
        """Hold the lock, and take a new one whenever it was lost, until cancelled; *on_lost* is called each time."""
        while True:
            try:
                await self._hold_once()
            except (*DATABASE_AWAY, asyncpg.InterfaceError, asyncpg.PostgresError):
                pass
            except Exception:
                log.exception("presence_failed")
            finally:
                was_held, self.number = self.number is not None, None
            if was_held:
                log.warning("presence_lost")
                on_lost()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hold_once(self) -> None:
        connection: Connection = await asyncpg.connect(
            self._database.address, timeout=10, server_settings={"application_name": "learning-hub"}
        )
        try:
            is_closed = asyncio.Event()
            connection.add_termination_listener(lambda *_: is_closed.set())
            number = secrets.randbelow(2**62)
            await connection.execute(queries.lock, number)
            self.number = number
            while not is_closed.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await is_closed.wait()
                # A connection over a dead network is not closed on its own.
                await connection.fetchval(queries.check, timeout=RESPONSE_SECONDS)
        finally:
            connection.terminate()
