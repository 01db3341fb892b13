"""
The other rows of a contact, where a panel has no column for the record key.

Such a row is told from the others only by its values, so that one delivery at a time may be under way for a
contact and panel, and rows that belong to other source records must be known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.store import sibling_rows
from learning_hub.store.database import Database

# Each holds a database connection while it sends; others need some as well.
AT_ONCE = 4


class SiblingRows:
    """Serves keyless panels; any other target has its own key and needs none of this."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def of(
        self, claimed: ClaimedDelivery, target: Mapping[str, Any], participant_id: str
    ) -> AsyncIterator[frozenset[str] | None]:
        """The identities of the contact's other rows, while no other delivery for it is sent; None where not needed."""
        if not is_keyless(target):
            yield None
            return
        panel = str(target["Name"])
        async with (
            self._room,
            sibling_rows.locked(self._database, f"{claimed.subscriber_id}/{panel}/{participant_id}") as held,
        ):
            yield await sibling_rows.of_others(held, claimed, participant_id=participant_id, panel=panel)


def is_keyless(target: Mapping[str, Any]) -> bool:
    """Whether records at *target* are told from others only by their values and their participant."""
    return target.get("Kind") == "panel" and target.get("KeyProperty") is None
