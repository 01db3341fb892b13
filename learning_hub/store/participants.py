"""
The participant table: the ids that publishers' participants have at subscribers.

A row is a *match*, a person's decision that stays until it is changed, or a *look-up*, an answer of the subscriber that
expires. A match takes precedence over a look-up, a row for one system over a row for every system, and of rows that
differ only in the spelling of the id (model/participant_id.py) the latest over the others.
"""

from __future__ import annotations

from learning_hub.model.participant import Participant
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("participants")

# The value that means "every system" in the table; in Python it is None.
EVERY_SYSTEM = ""


async def lock(connection: Connection, who: str) -> None:
    """Lock what is remembered of a participant until the transaction ends; *who* names it and its subscriber."""
    await connection.execute(queries.lock, who)


async def find(
    database: Database | Connection,
    *,
    subscriber_id: str,
    program_id: str,
    publisher_system_id: str,
    publisher_participant_id: str,
) -> Participant | None:
    """The match or look-up that applies to a participant; None if it has neither."""
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
    """Store the result of a look-up for *seconds*; a match is kept."""
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
    """Store a person's match; for every system if *publisher_system_id* is None."""
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
    All matches and look-ups of a participant, the one that applies first.

    With *publisher_system_id*, only those of that system and of every system.
    """
    rows = await database.fetch(
        queries.find_all, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )
    return [_read(row) for row in rows]


async def page_of_matches(
    database: Database, subscriber_id: str, program_id: str, after: tuple[str, str], limit: int
) -> list[Participant]:
    """Up to *limit* matches, after the participant and system *after*."""
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
    """Delete the match and look-up of a system, or of all systems for None; returns the deleted rows."""
    rows = await connection.fetch(
        queries.delete, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )
    return [_read(row) for row in rows]


async def delete_look_up(
    database: Database, *, subscriber_id: str, program_id: str, publisher_system_id: str, publisher_participant_id: str
) -> None:
    """Delete the look-up of one participant; a match is kept."""
    await database.execute(
        queries.delete_look_up, subscriber_id, program_id, publisher_system_id, publisher_participant_id
    )


async def delete_look_ups(connection: Connection, subscriber_id: str) -> None:
    """Delete all look-ups of a subscriber; matches are kept."""
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
