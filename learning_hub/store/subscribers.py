"""The subscriber table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.subscriber import Subscriber
from learning_hub.store.database import Connection, Database, Row
from learning_hub.store.queries import Queries
from learning_hub.store.vault import Vault

queries = Queries("subscribers")


async def lock(connection: Connection, subscriber_id: str) -> None:
    """Wait until nobody else changes this subscriber, until the transaction ends."""
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
    """Make or change a subscriber; without credentials it keeps those it has."""
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
    """One subscriber, archived ones as well."""
    row = await database.fetchrow(queries.find, subscriber_id)
    return _read(row) if row else None


async def page(database: Database, within: list[str] | None, after: str, limit: int) -> list[Subscriber]:
    """Up to *limit* subscribers by id after *after*; only those that get events of these Programs, None for all."""
    return [_read(row) for row in await database.fetch(queries.page, within, after, limit)]


async def is_used_by(database: Database, subscriber_id: str, program_ids: list[str]) -> bool:
    """Whether the subscriber gets, or once got, events of any of these Programs."""
    return bool(await database.fetchval(queries.is_used_by, subscriber_id, program_ids))


async def archive(connection: Connection, subscriber_id: str) -> Subscriber | None:
    """Let it get nothing more; None where there is none."""
    row = await connection.fetchrow(queries.archive, subscriber_id)
    return _read(row) if row else None


async def credentials(database: Database, vault: Vault, subscriber_id: str) -> dict[str, Any]:
    """
    The subscriber's credentials, decrypted; empty where it has none.

    Raises:
        CredentialsUnreadable: They were encrypted with none of the vault's keys.
        KeysMissing: The vault has no keys.
    """
    encrypted: bytes | None = await database.fetchval(queries.credentials, subscriber_id)
    return vault.decrypt(encrypted) if encrypted else {}


async def keep_credentials(
    database: Database, vault: Vault, subscriber: Subscriber, credentials: Mapping[str, Any]
) -> bool:
    """
    Keep credentials that the subscriber itself has renewed; its connectors stay as they are.

    Returns:
        False when it was changed by an administrator meanwhile, whose credentials count.
    """
    encrypted = vault.encrypt(credentials)
    return (
        await database.execute(queries.keep_credentials, subscriber.subscriber_id, encrypted, subscriber.changed_utc)
        == 1
    )


def _read(row: Row) -> Subscriber:
    return Subscriber(
        subscriber_id=row["subscriber_id"],
        name=row["name"],
        connector=row["connector"],
        settings=read_json(row["settings"]),
        max_concurrency=row["max_concurrency"],
        encrypted_credentials=row["credentials"],
        credentials_changed_utc=row["credentials_changed_utc"],
        created_utc=row["created_utc"],
        changed_utc=row["changed_utc"],
        archived_utc=row["archived_utc"],
    )
