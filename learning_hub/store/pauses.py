"""
The subscriber_pause table: the open circuit breakers of all subscribers, shared by all workers. `model.circuit_breaker`
has the rules.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from learning_hub.model.circuit_breaker import BreakerChange, Pause, SubscriberFailure, after_failure
from learning_hub.store.database import Connection, Database, Row, storable
from learning_hub.store.queries import Queries

queries = Queries("pauses")


class LastingPause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause that has lasted long enough to be logged."""

    subscriber_id: str
    code: str
    since_utc: datetime


async def note_failure(
    connection: Connection, subscriber_id: str, failure: SubscriberFailure, *, began_utc: datetime, is_probe: bool
) -> BreakerChange:
    """
    Store the effect that a failed attempt, begun at *began_utc*, has on the subscriber's circuit breaker.

    Runs in the transaction that completes the delivery.
    """
    await connection.execute(queries.lock, subscriber_id)
    row = await connection.fetchrow(queries.find, subscriber_id, began_utc)
    assert row is not None  # noqa: S101 - nothing deletes subscribers
    before = _read(row) if row["since_utc"] is not None else None
    change = after_failure(
        subscriber_id,
        before,
        failure,
        at=row["at_utc"],
        is_probe=is_probe,
        are_credentials_fixed=row["are_credentials_fixed"],
    )
    after = change.pause
    if after is not None and after != before:
        await connection.execute(
            queries.put,
            subscriber_id,
            after.code,
            after.failure_class,
            storable(after.message),
            after.since_utc,
            after.probe_seconds,
            after.next_probe_utc,
            after.denied_probes,
        )
    return change


async def of(database: Database | Connection, subscriber_ids: Collection[str]) -> dict[str, Pause]:
    """The pauses of these subscribers, by subscriber; subscribers that are not paused are left out."""
    rows = await database.fetch(queries.of, list(subscriber_ids))
    return {row["subscriber_id"]: _read(row) for row in rows}


async def find(database: Database | Connection, subscriber_id: str) -> Pause | None:
    """The subscriber's pause; None if it is not paused."""
    return (await of(database, [subscriber_id])).get(subscriber_id)


async def lift(database: Database | Connection, subscriber_id: str, *, credentials_fixed: bool) -> bool:
    """
    End the subscriber's pause, and make the deliveries due that failed during it; False if the pause stays or there was
    none.

    A pause for refused credentials stays unless they were fixed.
    """
    since_utc = await database.fetchval(queries.lift, subscriber_id, credentials_fixed)
    if since_utc is None:
        return False
    await pull_forward(database, subscriber_id, since_utc)
    return True


async def probe_now(database: Database, subscriber_id: str) -> datetime | None:
    """Make the next probe due; returns its time. None if no probe is sent: not paused, or credentials refused."""
    due_utc: datetime | None = await database.fetchval(queries.probe_now, subscriber_id)
    return due_utc


async def pull_forward(database: Database | Connection, subscriber_id: str, since_utc: datetime) -> None:
    """Make deliveries due that failed since *since_utc* because the subscriber was away."""
    await database.execute(queries.pull_forward, subscriber_id, since_utc)


async def end_idle(database: Database) -> None:
    """End the pauses whose next probe is due and for which no delivery is to be sent."""
    await database.execute(queries.end_idle)


async def lasting(database: Database, seconds: float) -> list[LastingPause]:
    """The pauses that have lasted for *seconds*; each is returned once, over all processes."""
    return [
        LastingPause(subscriber_id=row["subscriber_id"], code=row["code"], since_utc=row["since_utc"])
        for row in await database.fetch(queries.alarm, seconds)
    ]


async def seconds_paused(database: Database) -> dict[tuple[str, str], float]:
    """How many seconds each paused subscriber has been paused, by subscriber and code."""
    rows = await database.fetch(queries.all_seconds)
    return {(row["subscriber_id"], row["code"]): row["seconds"] for row in rows}


def _read(row: Row) -> Pause:
    return Pause(
        subscriber_id=row["subscriber_id"],
        code=row["code"],
        failure_class=row["class"],
        message=row["message"],
        since_utc=row["since_utc"],
        probe_seconds=row["probe_seconds"],
        next_probe_utc=row["next_probe_utc"],
        denied_probes=row["denied_probes"],
    )
