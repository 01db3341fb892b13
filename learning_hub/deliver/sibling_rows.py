"""
The other rows of a contact in a panel without a column for the record key.

Only its values tell such a row from the others. So one delivery at a time may be under way for a contact and panel,
and the connector must know which rows belong to other source records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from learning_hub.connectors.kinds import KINDS
from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.store import sibling_rows
from learning_hub.store.database import Database

# Each delivery holds a database connection while it is sent; others need connections as well.
AT_ONCE = 4


class SiblingRows:
    """Locks and reads the rows of a contact in a keyless panel; for other targets it does nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def of(
        self, claimed: ClaimedDelivery, target: Mapping[str, Any], participant_id: str
    ) -> AsyncIterator[frozenset[str] | None]:
        """The ids of the contact's other rows, locked against other deliveries; None for targets with a record key."""
        if not KINDS[claimed.connector].is_keyless(target):
            yield None
            return
        panel = str(target["Name"])
        async with (
            self._room,
            sibling_rows.locked(self._database, f"{claimed.subscriber_id}/{panel}/{participant_id}") as connection,
        ):
            yield await sibling_rows.of_others(connection, claimed, participant_id=participant_id, panel=panel)
