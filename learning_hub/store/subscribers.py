"""The subscriber table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.subscriber import Subscriber
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries
from learning_hub.store.vault import Vault

queries = Queries("subscribers")

# Seconds between two attempts to take a lock; a sign-in takes about as long.
LOCK_POLL_SECONDS = 0.2


async def lock(connection: Connection, subscriber_id: str) -> None:
    """Lock the subscriber against other changes until the transaction ends."""
    await connection.execute(queries.lock, subscriber_id)


async def put(
    connection: Connection,
    subscriber_id: str,
    *,
    name: str,
    connector: str,
    settings: dict[str, Any],
    encrypted_credentials: bytes | None,
    max_concurrency: int,
) -> Subscriber:
    """Create or change a subscriber; without credentials, it keeps those it has."""
    row = await connection.fetchrow(
        queries.put,
        subscriber_id,
        name,
        connector,
        write_json(settings).decode(),
        encrypted_credentials,
        max_concurrency,
    )
    assert row is not None  # noqa: S101 - an upsert returns its row
    return _read(row)


async def find(database: Database | Connection, subscriber_id: str) -> Subscriber | None:
    """One subscriber; archived subscribers are found too."""
    row = await database.fetchrow(queries.find, subscriber_id)
    return _read(row) if row else None


async def page(database: Database, within: list[str] | None, after: str, limit: int) -> list[Subscriber]:
    """Up to *limit* subscribers by id after *after*; only those that get events of these Programs, or all for None."""
    return [_read(row) for row in await database.fetch(queries.page, within, after, limit)]


async def note_check(connection: Connection, subscriber_id: str) -> None:
    """Store that the credentials were found valid; every process then forgets that they were refused."""
    await connection.execute(queries.note_check, subscriber_id)


async def ids_used_by(database: Database, program_ids: list[str]) -> set[str]:
    """The ids of the subscribers that get, or ever got, events of any of these Programs."""
    return {row["subscriber_id"] for row in await database.fetch(queries.ids_used_by, program_ids)}


async def is_used_by(database: Database, subscriber_id: str, program_ids: list[str]) -> bool:
    """Whether the subscriber gets, or ever got, events of any of these Programs."""
    return bool(await database.fetchval(queries.is_used_by, subscriber_id, program_ids))


async def archive(connection: Connection, subscriber_id: str) -> Subscriber | None:
    """Archive the subscriber, so that it gets nothing more; None if it does not exist."""
    row = await connection.fetchrow(queries.archive, subscriber_id)
    return _read(row) if row else None


async def encrypt_settings(database: Database, vault: Vault, secret: Mapping[str, Collection[str]]) -> int:
    """
    Encrypt the secret settings that an earlier version stored in clear text; archived subscribers are included.

    Args:
        database: The database.
        vault: Encrypts them.
        secret: By kind of subscriber, the names of the settings that are objects of secret values.

    Returns:
        How many subscribers were changed.

    Raises:
        KeysMissing: There is something to encrypt, and the vault has no keys.
    """
    changed = 0
    for row in await database.fetch(queries.settings_of_kinds, [kind for kind, names in secret.items() if names]):
        settings = read_json(row["settings"])
        encrypted = vault.encrypt_settings(settings, secret[row["connector"]])
        if encrypted != settings:
            text = write_json(encrypted).decode()
            await database.execute(queries.replace_settings, row["subscriber_id"], row["settings"], text)
            changed += 1
    return changed


async def credentials(database: Database, vault: Vault, subscriber_id: str) -> dict[str, Any]:
    """
    The subscriber's credentials, decrypted; empty if it has none.

    Raises:
        CredentialsUnreadable: They were encrypted with none of the vault's keys.
        KeysMissing: The vault has no keys.
    """
    encrypted: bytes | None = await database.fetchval(queries.credentials, subscriber_id)
    return vault.decrypt(encrypted) if encrypted else {}


class CredentialsLock:
    """The lock that one process holds while it renews the credentials of a subscriber, on its own connection."""

    def __init__(self, connection: Connection, vault: Vault, subscriber_id: str) -> None:
        self._connection = connection
        self._vault = vault
        self._subscriber_id = subscriber_id
        self._read: bytes | None = None

    async def read(self) -> dict[str, Any]:
        """The stored credentials, decrypted; empty if there are none."""
        self._read = await self._connection.fetchval(queries.credentials, self._subscriber_id)
        return self._vault.decrypt(self._read) if self._read else {}

    async def keep(self, credentials: Mapping[str, Any]) -> None:
        """Replace the credentials that were read last by *credentials*, unless an administrator changed them."""
        encrypted = self._vault.encrypt(credentials)
        await self._connection.execute(queries.keep_credentials, self._subscriber_id, encrypted, self._read)


@asynccontextmanager
async def credentials_lock(database: Database, vault: Vault, subscriber_id: str) -> AsyncIterator[CredentialsLock]:
    """
    Lock the renewal of a subscriber's credentials, over all processes.

    The subscriber's connectors are not closed. A process that waits for the lock holds no connection.
    """
    while True:
        async with database.session() as connection:
            if await connection.fetchval(queries.lock_credentials, subscriber_id):
                yield CredentialsLock(connection, vault, subscriber_id)
                return
        await asyncio.sleep(LOCK_POLL_SECONDS)


@asynccontextmanager
async def panel_lock(database: Database, subscriber_id: str) -> AsyncIterator[None]:
    """
    Lock the building of panels at a subscriber, over all processes.

    A process that waits for the lock holds no connection.
    """
    while True:
        async with database.session() as connection:
            if await connection.fetchval(queries.lock_panel_building, subscriber_id):
                yield
                return
        await asyncio.sleep(LOCK_POLL_SECONDS)


def _read(row: Row) -> Subscriber:
    return Subscriber(
        subscriber_id=row["subscriber_id"],
        name=row["name"],
        connector=row["connector"],
        settings=read_json(row["settings"]),
        max_concurrency=row["max_concurrency"],
        encrypted_credentials=row["credentials"],
        credentials_changed_utc=row["credentials_changed_utc"],
        credentials_checked_utc=row["credentials_checked_utc"],
        created_utc=row["created_utc"],
        changed_utc=row["changed_utc"],
        archived_utc=row["archived_utc"],
    )
