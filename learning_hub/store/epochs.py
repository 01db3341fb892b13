"""
The epochs of the feed.

Positions in the feed are ordered by epoch first. Within an epoch they are ordered by transaction id, which is handed
out again after the database has gone back in time; so a new epoch begins whenever it may have: with each start of the
server, and with each other history. A reader's cursor from before then comes before all that is new.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TypeAlias

import asyncpg
import msgspec

from learning_hub.store.queries import Queries

# Quoted, because these classes are generic only for the type checker.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

queries = Queries("epochs")
log = logging.getLogger(__name__)

# Before the first migration, and before the one that adds the columns.
NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


class LastSeen(msgspec.Struct, frozen=True):
    """
    What a process has seen of the database.

    *system_identifier* and *timeline* name its history, *wal_position* is how far it was, in bytes. *stepped_back_utc*
    is when it may have gone back in time; None if it never did.
    """

    system_identifier: str
    timeline: str
    wal_position: int
    stepped_back_utc: datetime | None


async def keep_epoch(connection: Connection, seen: LastSeen | None) -> LastSeen | None:
    """
    Begin an epoch if the newest one began in another life of the database; before anything is written by *connection*.

    A start of the server is no step back if this process has *seen* the database before it, and finds it further on.

    Returns:
        How far the database is now; None if nothing can be known, before the first migration or on a standby.
    """
    try:
        here = await connection.fetchrow(queries.here)
    except NOT_MIGRATED:
        return None
    if here is None:
        return None
    if not _is_current(here):
        await _begin(connection, seen)
        here = await connection.fetchrow(queries.here)
        if here is None:
            return None
    return LastSeen(here["system_identifier"], here["timeline"], here["wal_position"], here["stepped_back_utc"])


async def _begin(connection: Connection, seen: LastSeen | None) -> None:
    await asyncio.sleep(await connection.fetchval(queries.seconds_to_wait) or 0)
    async with connection.transaction():
        await connection.execute(queries.lock_timeout)
        await connection.execute(queries.lock)
        here = await connection.fetchrow(queries.here)
        if here is None or _is_current(here):
            # Another process has begun it meanwhile.
            return
        is_step_back = _may_be_step_back(here, seen)
        epoch = await connection.fetchval(
            queries.begin, here["system_identifier"], here["timeline"], here["server_started_utc"], is_step_back
        )
    if not here["is_first"]:
        log.warning("feed_epoch_begun", extra={"epoch": epoch, "is_step_back": is_step_back})


def _is_current(here: asyncpg.Record) -> bool:
    return all(here[name] for name in ("is_same_cluster", "is_same_timeline", "is_same_start", "is_same_row"))


def _may_be_step_back(here: asyncpg.Record, seen: LastSeen | None) -> bool:
    if here["is_first"]:
        return False
    if not (here["is_same_cluster"] and here["is_same_row"]):
        return True
    if not here["is_recorded"]:
        # An upgrade: the hub before this one began no epoch at a start either.
        return False
    was_seen = (
        seen is not None
        and (seen.system_identifier, seen.timeline) == (here["system_identifier"], here["timeline"])
        and seen.wal_position <= here["wal_position"]
    )
    return not (here["is_same_timeline"] and was_seen)
