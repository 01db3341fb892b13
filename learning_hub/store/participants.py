"""The participant table: who publishers' participants are at subscribers, as looked up or as settled by hand."""

from __future__ import annotations

from learning_hub.model.participant import Participant
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("participants")

# In the table; outside it is None.
EVERY_SYSTEM = ""


async def find(
    database: Database | Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str,
    publisher_participant_id: str,
) -> Participant | None:
    """
    Who it is, as far as is remembered.

    What was settled by hand goes before what was looked up, and for this system before every system.
    """
    row = await database.fetchrow(
        queries.find, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )
    return _read(row) if row else None


async def save_look_up(
    database: Database | Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str,
    publisher_participant_id: str,
    subscriber_participant_id: str,
    seconds: float,
) -> None:
    """Keep for *seconds* what a look-up found; what was settled by hand stays."""
    await database.execute(
        queries.save_look_up,
        subscriber_id,
        program_id,
        publisher_system_id,
        publisher_participant_id,
        subscriber_participant_id,
        seconds,
    )


async def save_match(
    connection: Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str | None,
    publisher_participant_id: str,
    subscriber_participant_id: str,
    settled_by: str,
) -> Participant:
    """Keep what a person says, until changed; for every system where *publisher_system_id* is None."""
    row = await connection.fetchrow(
        queries.save_match,
        subscriber_id,
        program_id,
        publisher_system_id or EVERY_SYSTEM,
        publisher_participant_id,
        subscriber_participant_id,
        settled_by,
    )
    assert row is not None  # noqa: S101 - an upsert returns its row
    return _read(row)


async def find_all(
    database: Database | Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str | None,
    publisher_participant_id: str,
) -> list[Participant]:
    """
    All that is remembered of a participant, what counts first; for any system where *publisher_system_id* is None.

    Where a system is named, what was settled for every system is there as well.
    """
    rows = await database.fetch(
        queries.find_all, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )
    return [_read(row) for row in rows]


async def page_of_matches(
    database: Database, subscriber_id: str, program_id: str, after: tuple[str, str], limit: int
) -> list[Participant]:
    """Up to *limit* participants settled by hand, after the participant and system *after*."""
    return [
        _read(row) for row in await database.fetch(queries.page_of_matches, subscriber_id, program_id, *after, limit)
    ]


async def delete(
    connection: Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str | None,
    publisher_participant_id: str,
) -> list[Participant]:
    """Forget what is remembered for the system, for any where it is None; what that was."""
    rows = await connection.fetch(
        queries.delete, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )
    return [_read(row) for row in rows]


async def delete_look_up(
    database: Database, *, subscriber_id: str, program_id: str, publisher_system_id: str, publisher_participant_id: str
) -> None:
    """Forget what was found for one participant; what was settled by hand stays."""
    await database.execute(
        queries.delete_look_up, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )


async def delete_look_ups(connection: Connection, subscriber_id: str) -> None:
    """Forget all that was looked up at a subscriber."""
    await connection.execute(queries.delete_look_ups, subscriber_id)


def _read(row: Row) -> Participant:
    return Participant(
        subscriber_id=row["subscriber_id"],
        program_id=row["program_id"],
        publisher_system_id=row["publisher_system_id"] or None,
        publisher_participant_id=row["publisher_participant_id"],
        subscriber_participant_id=row["subscriber_participant_id"],
        settled_by=row["settled_by"],
        changed_utc=row["changed_utc"],
        expires_utc=row["expires_utc"],
    )
