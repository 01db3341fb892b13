"""The run and run_delivery tables."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Raw

from learning_hub.model.run import BULK_KINDS, Counts, Progress, Run, RunState, Trigger
from learning_hub.store import delivery_transitions, feed
from learning_hub.store.database import Connection, Database, Row, changed
from learning_hub.store.queries import Queries

queries = Queries("runs")

RELEASED_AT_ONCE = 5000


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is not finished; *is_gone* says that the process that gathers its deliveries is gone."""

    run_id: str
    program_id: str
    trigger: Trigger
    is_gathered: bool
    is_gone: bool


async def insert(
    database: Database | Connection,
    run_id: str,
    program_id: str,
    trigger: Trigger,
    request: bytes,
    requested_by: str,
    gatherer: int | None,
) -> None:
    """Begin a run; *gatherer* is the number of the liveness lock of the process that gathers its deliveries."""
    await database.execute(queries.insert, run_id, program_id, trigger, request.decode(), requested_by, gatherer)


async def find(database: Database, run_id: str) -> Run | None:
    """One run, with its present counts."""
    row = await database.fetchrow(queries.find, run_id)
    if row is None:
        return None
    return await _shown(database, row)


async def page(database: Database, programs: list[str] | None, before: str, limit: int) -> list[Run]:
    """Up to *limit* runs, newest first, with their present counts."""
    rows = await database.fetch(queries.page, programs, before, limit)
    return [await _shown(database, row) for row in rows]


async def add_deliveries_of_events(
    connection: Connection,
    run_id: str,
    program_id: str,
    subscription_id: str,
    uuids: Sequence[UUID],
    *,
    with_replays: bool,
) -> None:
    """Add the deliveries of these events to the run. With replays, add those instead of earlier finished deliveries."""
    await connection.execute(
        queries.add_deliveries_of_events, run_id, program_id, subscription_id, list(uuids), with_replays
    )


async def add_pending(connection: Connection, run_id: str, program_id: str, subscription_id: str) -> None:
    """Add all deliveries of the subscription that are to be sent or being sent to the run."""
    await connection.execute(queries.add_pending, run_id, program_id, subscription_id)


async def pending_events(
    database: Database, program_id: str, subscription_ids: Sequence[str], limit: int
) -> list[UUID]:
    """Up to *limit* events that have deliveries to be sent for these subscriptions."""
    rows = await database.fetch(queries.pending_events, program_id, list(subscription_ids), limit)
    return [row["event_uuid"] for row in rows]


async def release(
    database: Database, run_id: str, program_id: str, subscription_ids: Sequence[str], *, only_started: bool
) -> None:
    """
    Release the deliveries that wait for the run at these subscriptions, in batches that are committed one by one.

    A run that ends before it is complete leaves released deliveries, which are sent; the next run releases the rest.
    With *only_started*, nothing is released of subscriptions that are stopped by now.
    """
    after = UUID(int=0)
    while True:
        async with database.transaction() as connection:
            await connection.execute(feed.queries.plan_in_index_order)
            released = await delivery_transitions.release_for_run(
                connection,
                run_id,
                program_id,
                subscription_ids,
                only_started=only_started,
                after=after,
                limit=RELEASED_AT_ONCE,
            )
        if len(released) < RELEASED_AT_ONCE:
            return
        after = max(released)


async def gathered(connection: Connection, run_id: str) -> bool:
    """Store that the run has all its deliveries, and that they are released; False if it is already finished."""
    return changed(await connection.execute(queries.gathered, run_id)) > 0


async def counts(database: Database, run_id: str, program_id: str) -> tuple[Counts, int]:
    """The run's deliveries counted by state, and how many of them will still change without a person's action."""
    rows = await database.fetch(queries.counts, run_id, program_id)
    by_state = {row["state"]: row["deliveries"] for row in rows}
    return Counts(matched=sum(by_state.values()), **by_state), sum(row["open"] for row in rows)


async def is_gathered(database: Database, run_id: str) -> bool:
    """Whether the run is still running and has all its deliveries."""
    return bool(await database.fetchval(queries.is_gathered, run_id))


async def running(database: Database, old_seconds: float) -> list[Running]:
    """Unfinished runs. A process that gathers without a liveness lock counts as gone after *old_seconds*."""
    return [Running(**dict(row)) for row in await database.fetch(queries.running, old_seconds)]


async def finish(
    database: Database | Connection, run_id: str, state: RunState, result: Counts, message: str | None = None
) -> None:
    """Store that the run is finished, with its state, counts and message."""
    await database.execute(queries.finish, run_id, state, msgspec.json.encode(result).decode(), message)


async def _shown(database: Database, row: Row) -> Run:
    """The run with its present counts, and the progress of a change of many deliveries."""
    if row["trigger"] not in BULK_KINDS:
        return _read(row, await _current(database, row), None)
    changing = await database.fetchrow(queries.bulk_progress, row["run_id"])
    if row["counts"] is not None or changing is None:
        # A change that ended between the two reads is finished by now.
        ended = row if row["counts"] is not None else await database.fetchrow(queries.find, row["run_id"]) or row
        run = _read(ended, Counts(), None)
        return msgspec.structs.replace(run, progress=Progress(done=run.counts.matched, total=run.counts.matched))
    by_state = {state: changing[state] for state in ("waiting", "superseded", "discarded")}
    done = Counts(matched=sum(by_state.values()), **by_state)
    return _read(row, done, Progress(done=done.matched, total=changing["total"]))


async def _current(database: Database, row: Row) -> Counts:
    if row["counts"] is not None:
        return Counts()
    current, _ = await counts(database, row["run_id"], row["program_id"])
    return current


def _read(row: Row, current: Counts, progress: Progress | None) -> Run:
    return Run(
        run_id=row["run_id"],
        program_id=row["program_id"],
        trigger=row["trigger"],
        requested_by=row["requested_by"],
        request=Raw(row["request"].encode()),
        state=row["state"],
        message=row["message"],
        started_utc=row["started_utc"],
        finished_utc=row["finished_utc"],
        counts=msgspec.json.decode(row["counts"], type=Counts) if row["counts"] else current,
        progress=progress,
    )
