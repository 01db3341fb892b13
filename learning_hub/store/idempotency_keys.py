"""The idempotency_key table: the response to each Idempotency-Key of a publisher."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("idempotency_keys")


class StoredResponse(msgspec.Struct, frozen=True):
    """The response to an Idempotency-Key; *status* is 201 or 200."""

    request_hash: bytes
    status: int
    event_uuid: UUID


async def find(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredResponse]:
    """The stored responses to these (Program, Idempotency-Key) pairs; pairs without one are left out."""
    rows = await connection.fetch(queries.find, [program for program, _ in keys], [key for _, key in keys])
    return {
        keys[row["position"] - 1]: StoredResponse(row["request_hash"], row["status"], row["event_uuid"]) for row in rows
    }


async def insert(connection: Connection, responses: Sequence[tuple[str, str, StoredResponse]]) -> set[tuple[str, str]]:
    """Store responses by (Program, Idempotency-Key); returns the stored pairs, without those another writer stored."""
    rows = await connection.fetch(
        queries.insert,
        [program for program, _, _ in responses],
        [key for _, key, _ in responses],
        [response.request_hash for _, _, response in responses],
        [response.status for _, _, response in responses],
        [response.event_uuid for _, _, response in responses],
    )
    return {responses[row["position"] - 1][:2] for row in rows}


async def delete(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Delete (Program, Idempotency-Key) pairs that were stored earlier in the same transaction."""
    await connection.execute(queries.delete, [program for program, _ in keys], [key for _, key in keys])
