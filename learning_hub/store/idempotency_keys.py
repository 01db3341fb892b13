"""The idempotency_key table: the outcome of the request that had an Idempotency-Key of a publisher."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from learning_hub.model.event import PublishingOutcome
from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("idempotency_keys")


# The column `status` holds the HTTP status of the response: rows that are stored already have it, and hub processes of
# an earlier version read and write it.
_STATUSES: dict[PublishingOutcome, int] = {"stored": 201, "same": 200}
_OUTCOMES = {status: outcome for outcome, status in _STATUSES.items()}


class KeptOutcome(msgspec.Struct, frozen=True):
    """The outcome stored for an Idempotency-Key."""

    request_hash: bytes
    outcome: PublishingOutcome
    event_uuid: UUID


async def find(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KeptOutcome]:
    """The stored outcomes of these (Program, Idempotency-Key) pairs; pairs without an outcome are left out."""
    rows = await connection.fetch(queries.find, [program for program, _ in keys], [key for _, key in keys])
    return {
        keys[row["position"] - 1]: KeptOutcome(row["request_hash"], _OUTCOMES[row["status"]], row["event_uuid"])
        for row in rows
    }


async def insert(connection: Connection, outcomes: Sequence[tuple[str, str, KeptOutcome]]) -> set[tuple[str, str]]:
    """Store outcomes by (Program, Idempotency-Key); returns the stored pairs, without those of a faster writer."""
    rows = await connection.fetch(
        queries.insert,
        [program for program, _, _ in outcomes],
        [key for _, key, _ in outcomes],
        [kept.request_hash for _, _, kept in outcomes],
        [_STATUSES[kept.outcome] for _, _, kept in outcomes],
        [kept.event_uuid for _, _, kept in outcomes],
    )
    return {outcomes[row["position"] - 1][:2] for row in rows}


async def delete(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Delete (Program, Idempotency-Key) pairs that were stored earlier in the same transaction."""
    await connection.execute(queries.delete, [program for program, _ in keys], [key for _, key in keys])
