"""The idempotency_key table: what a publisher's Idempotency-Key was answered with."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("idempotency_keys")


class KeptAnswer(msgspec.Struct, frozen=True):
    """What an Idempotency-Key was answered with: *status* 201 or 200."""

    request_hash: bytes
    status: int
    event_uuid: UUID


async def find(connection: Connection, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KeptAnswer]:
    """What (Program, Idempotency-Key) pairs were answered with before."""
    rows = await connection.fetch(queries.find, [program for program, _ in asked], [key for _, key in asked])
    return {asked[row["asked"] - 1]: KeptAnswer(row["request_hash"], row["status"], row["event_uuid"]) for row in rows}


async def keep(connection: Connection, answers: Sequence[tuple[str, str, KeptAnswer]]) -> set[tuple[str, str]]:
    """Remember answers by (Program, Idempotency-Key); returns the pairs kept, without those just taken by others."""
    rows = await connection.fetch(
        queries.keep,
        [program for program, _, _ in answers],
        [key for _, key, _ in answers],
        [answer.request_hash for _, _, answer in answers],
        [answer.status for _, _, answer in answers],
        [answer.event_uuid for _, _, answer in answers],
    )
    return {answers[row["position"] - 1][:2] for row in rows}


async def forget(connection: Connection, lost: Sequence[tuple[str, str]]) -> None:
    """Take back (Program, Idempotency-Key) pairs kept earlier in the same transaction."""
    await connection.execute(queries.forget, [program for program, _ in lost], [key for _, key in lost])
