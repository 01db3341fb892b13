"""
The delay of the feed: how long entries have been hidden from readers, and by what.

The delay is measured on the entries themselves, so it is reported whatever the cause is.
"""

from __future__ import annotations

from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("feed_delay")

# The hub's own transactions take milliseconds.
REPORTED_SECONDS = 60.0


async def hidden_seconds(database: Database) -> float:
    """The age, in seconds, of the oldest entry that no reader may see yet; 0 if readers see all entries."""
    return float(await database.fetchval(queries.oldest_hidden) or 0)


async def delay_findings(database: Database, over_seconds: float = REPORTED_SECONDS) -> list[str]:
    """What holds the feed back, as sentences; none unless an entry has been hidden for *over_seconds*."""
    async with database.connection() as connection:
        seconds = float(await connection.fetchval(queries.oldest_hidden) or 0)
        if seconds < over_seconds:
            return []
        effect = (
            f"The feed is held back: the oldest event that readers cannot see yet was stored {seconds:.0f} seconds ago."
        )
        return [f"{effect} {await _cause(connection)}"]


async def _cause(connection: Connection) -> str:
    sentences = [_sentence(holder) for holder in await connection.fetch(queries.holders)]
    if not sentences:
        return (
            "Its cause is not known: the server does not name the transaction that is open. "
            "See pg_stat_activity and pg_prepared_xacts as a superuser."
        )
    return " ".join(sentences)


def _sentence(holder: Row) -> str:
    where = f"of role {holder['role']} in database {holder['database']}"
    since = "" if holder["seconds"] is None else f" for {holder['seconds']} seconds"
    if holder["gid"] is not None:
        return (
            f"It waits for the prepared transaction '{holder['gid']}' {where}, which has been open{since}; "
            "end it with COMMIT PREPARED or ROLLBACK PREPARED."
        )
    if holder["pid"] is None:
        return "It waits for a prepared transaction that pg_prepared_xacts does not show."
    return (
        f"It waits for a transaction {where} (process {holder['pid']}, application {holder['application']}), "
        f"which has been open{since}; SELECT pg_terminate_backend({holder['pid']}) ends it."
    )
