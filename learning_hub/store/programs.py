"""The program table."""

from __future__ import annotations

from collections.abc import Collection

from learning_hub.model.program import NOT_KNOWN, TAKES_NO_EVENTS, Program
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("programs")


async def lock(connection: Connection, program_id: str) -> None:
    """Lock the Program against other changes until the transaction ends; it need not exist yet."""
    await connection.execute(queries.lock, program_id)


async def put(connection: Connection, program_id: str, name: str) -> Program:
    """Create or rename a Program; an archived Program becomes active again."""
    row = await connection.fetchrow(queries.put, program_id, name)
    assert row is not None  # noqa: S101 - an upsert returns its row
    return _read(row)


async def find(database: Database | Connection, program_id: str) -> Program | None:
    """One Program; archived Programs are found too."""
    row = await database.fetchrow(queries.find, program_id)
    return _read(row) if row else None


async def closed(connection: Connection | Database, program_ids: Collection[str]) -> dict[str, str]:
    """Those of *program_ids* that accept no events, each with a reason that continues the name of the field."""
    rows = await connection.fetch(queries.closed, list(program_ids))
    return {row["program_id"]: NOT_KNOWN if row["is_unknown"] else TAKES_NO_EVENTS for row in rows}


async def page(database: Database, within: list[str] | None, after: str, limit: int) -> list[Program]:
    """Up to *limit* Programs by id after *after*; only those in *within*, or all for None."""
    return [_read(row) for row in await database.fetch(queries.page, within, after, limit)]


async def archive(connection: Connection, program_id: str) -> Program | None:
    """Archive a Program, so that it accepts no more events; None when it does not exist."""
    row = await connection.fetchrow(queries.archive, program_id)
    return _read(row) if row else None


def _read(row: Row) -> Program:
    return Program(
        program_id=row["program_id"],
        name=row["name"],
        created_utc=row["created_utc"],
        archived_utc=row["archived_utc"],
    )
