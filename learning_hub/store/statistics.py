"""
What the planner knows of tables.

The server gathers statistics about once a minute. A table that is filled within its first minute, or restored from a
dump, is read by plans that were made when it was empty, some of them row by row: with ten thousand events stored an
event took PostgreSQL twenty times as long as afterwards, and with two thousand deliveries a claim four times.
"""

from __future__ import annotations

import asyncio
import logging

from learning_hub.model.errors import LearningHubError
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

log = logging.getLogger(__name__)
queries = Queries("statistics")

LOOK_EVERY_SECONDS = 1.0

# A few hundred rows, which are read fast by any plan.
_SMALL_BYTES = 64 * 1024


class Statistics:
    """Has statistics gathered for tables that have none and are no longer small."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked_for: set[str] = set()

    async def run(self) -> None:
        """Do so, until cancelled."""
        while True:
            try:
                await self.gather()
            except LearningHubError:
                pass
            except Exception:
                log.exception("gathering_statistics_failed")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def gather(self) -> None:
        """Once for each table: where it is not the hub's to gather them, asking again would not help."""
        for row in await self._database.fetch(queries.unknown_tables, _SMALL_BYTES):
            if row["name"] not in self._asked_for:
                self._asked_for.add(row["name"])
                await self._database.execute(f"ANALYZE {row['name']}")
