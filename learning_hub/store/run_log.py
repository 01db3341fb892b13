"""What is stored of a run, as the entries of its log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from learning_hub.model.run import Counts, RunState, Trigger
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("run_log")

Kind = Literal["begun", "gathered", "before", "delivered", "failed", "settled", "left", "finished"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands; *counts* once it is over."""

    program_id: str
    trigger: Trigger
    requested_by: str
    request: dict[str, Any]
    state: RunState
    counts: Counts | None
    message: str | None


class Place(msgspec.Struct, frozen=True, order=True):
    """Where an entry stands in the log of its run: by time, then by delivery, then by number."""

    at_utc: datetime
    delivery_uuid: UUID
    number: int


BEFORE_ALL = Place(datetime(1, 1, 2, tzinfo=UTC), UUID(int=0), 0)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that happened in a run.

    *kind* is `begun`, `gathered` or `finished` of the run itself. Of a delivery it is `before` when it was delivered
    before; `delivered` or `failed` for a try; `settled` when it came to its *state* without a try of this run; and
    `left` when it was not settled when the run finished.
    """

    place: Place
    kind: Kind
    event_uuid: UUID | None
    state: str | None
    message: str | None
    subscriber: str | None
    record_id: str | None


async def standing(database: Database, run_id: str) -> Standing | None:
    """How a run stands; None when there is no such run."""
    row = await database.fetchrow(queries.standing, run_id)
    if row is None:
        return None
    counts = msgspec.json.decode(row["counts"], type=Counts) if row["counts"] else None
    return Standing(**dict(row) | {"request": msgspec.json.decode(row["request"]), "counts": counts})


async def page(database: Database, run_id: str, program_id: str, after: Place, limit: int) -> list[Entry]:
    """Up to *limit* entries after *after*, in order."""
    rows = await database.fetch(
        queries.page, run_id, program_id, after.at_utc, after.delivery_uuid, after.number, limit
    )
    return [
        Entry(
            place=Place(row["at_utc"], row["delivery_uuid"], row["number"]),
            kind=row["kind"],
            event_uuid=row["event_uuid"],
            state=row["state"],
            message=row["message"],
            subscriber=row["subscriber"],
            record_id=row["record_id"],
        )
        for row in rows
    ]
