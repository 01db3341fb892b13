"""The rows at a subscriber that belong to other source records, according to the delivery table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from learning_hub.model.claimed_delivery import ClaimedDelivery
from learning_hub.store.database import Connection, Database
from learning_hub.store.queries import Queries

queries = Queries("sibling_rows")

MOST_SECONDS = 3600


@asynccontextmanager
async def locked(database: Database, name: str) -> AsyncIterator[Connection]:
    """A connection that holds the lock *name*; only one process holds it at a time."""
    async with database.session() as connection:
        # The caller has its own, shorter time-out.
        await connection.execute(queries.lock, name, timeout=MOST_SECONDS)
        yield connection


async def of_others(
    connection: Connection, claimed: ClaimedDelivery, *, participant_id: str, panel: str
) -> frozenset[str]:
    """Ids of the participant's rows in *panel* that belong to source records other than the claimed delivery's."""
    rows = await connection.fetch(
        queries.of_others,
        claimed.subscriber_id,
        f"~{participant_id}|",
        f"~{participant_id}" + "}",
        claimed.key.program_id,
        claimed.subscription_id,
        claimed.publisher_system_id,
        claimed.publisher_event_id,
        panel,
    )
    return frozenset(row["subscriber_record_id"] for row in rows)
