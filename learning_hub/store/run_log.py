"""The entries of a run's log, made from the stored run, its deliveries and their attempts."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.model.run import Counts
from learning_hub.model.run_log import LoggedRun, LogPosition
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("run_log")

Kind = Literal["begun", "gathered", "before", "delivered", "failed", "settled", "left", "finished"]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that happened in a run.

    *kind* of an entry of the run itself is `begun`, `gathered` or `finished`. *kind* of an entry of a delivery is
    `before` if it was delivered before the run; `delivered` or `failed` for an attempt; `settled` if it reached its
    final *state* without an attempt of this run; and `left` if it was not final when the run finished.
    """

    position: LogPosition
    kind: Kind
    event_uuid: UUID | None
    state: str | None
    message: str | None
    subscriber: str | None
    record_id: str | None


async def find_run(database: Database, run_id: str) -> LoggedRun | None:
    """The run with the fields that its log reports; None when it does not exist."""
    row = await database.fetchrow(queries.find_run, run_id)
    if row is None:
        return None
    counts = msgspec.json.decode(row["counts"], type=Counts) if row["counts"] else None
    return LoggedRun(**dict(row) | {"request": msgspec.json.decode(row["request"]), "counts": counts})


async def page(database: Database, run_id: str, program_id: str, after: LogPosition, limit: int) -> list[LogEntry]:
    """Up to *limit* entries after *after*, in order."""
    rows = await database.fetch(
        queries.page, run_id, program_id, after.at_utc, after.delivery_uuid, after.number, limit
    )
    return [
        LogEntry(
            position=LogPosition(row["at_utc"], row["delivery_uuid"], row["number"]),
            kind=row["kind"],
            event_uuid=row["event_uuid"],
            state=row["state"],
            message=row["message"],
            subscriber=row["subscriber"],
            record_id=row["record_id"],
        )
        for row in rows
    ]
