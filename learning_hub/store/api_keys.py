"""The api_key table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from learning_hub.model.api_key import ChangedKey, Key, KeyBody
from learning_hub.model.clock import to_utc
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries

queries = Queries("api_keys")


async def insert(connection: Connection, key_id: str, body: KeyBody, key_hash: bytes) -> Key:
    """Store a new key: its hash, not the key itself."""
    row = await connection.fetchrow(
        queries.insert, key_id, body.name, key_hash, body.programs, list(dict.fromkeys(body.scopes)), body.expires_utc
    )
    assert row is not None  # noqa: S101 - an insert returns its row
    return _read(row)


async def find_with_hash(database: Database | Connection, key_id: str) -> tuple[Key, bytes] | None:
    """A key and the hash of its secret; revoked and expired keys are returned too."""
    row = await database.fetchrow(queries.find, key_id)
    return (_read(row), row["key_hash"]) if row else None


async def lock(connection: Connection, key_id: str) -> Key | None:
    """A key, locked against other changes until the transaction ends; None when it does not exist."""
    row = await connection.fetchrow(queries.lock, key_id)
    return _read(row) if row else None


async def update(connection: Connection, key_id: str, changed: ChangedKey) -> Key:
    """Change what can be changed of a key that exists."""
    row = await connection.fetchrow(queries.update, key_id, changed.name, changed.expires_utc)
    assert row is not None  # noqa: S101 - it is locked
    return _read(row)


async def page(database: Database, after: str, limit: int) -> list[Key]:
    """Up to *limit* keys after the id *after*, the oldest first."""
    return [_read(row) for row in await database.fetch(queries.page, after, limit)]


async def revoke(connection: Connection, key_id: str) -> Key | None:
    """Revoke a key; None when it does not exist."""
    row = await connection.fetchrow(queries.revoke, key_id)
    return _read(row) if row else None


async def note_use(database: Database, used: Mapping[str, datetime]) -> None:
    """Store when keys were last used, by key id."""
    await database.execute(queries.note_use, list(used), list(used.values()))


def _read(row: Row) -> Key:
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        programs=row["programs"],
        scopes=row["scopes"],
        created_utc=row["created_utc"],
        # asyncpg returns the last instant of the calendar, which some callers use for "never", without a time zone.
        expires_utc=None if row["expires_utc"] is None else to_utc(row["expires_utc"]),
        revoked_utc=row["revoked_utc"],
        last_used_utc=row["last_used_utc"],
    )
