"""The audit table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from learning_hub.model.audit import Action, AuditEntry, ObjectType
from learning_hub.model.caller import Caller
from learning_hub.model.json_values import read_json, write_json
from learning_hub.store.database import Connection, Database
from learning_hub.store.queries import Queries

queries = Queries("audit")


async def write(
    connection: Connection,
    caller: Caller,
    action: Action,
    object_type: ObjectType,
    object_id: str,
    *,
    before: msgspec.Struct | None,
    after: msgspec.Struct | None,
) -> None:
    """Record a change, in the transaction that makes it. The Structs must hold no secrets."""
    await connection.execute(
        queries.write, caller.key_id, caller.name, action, object_type, object_id, _text(before), _text(after)
    )


class Change(NamedTuple):
    """A change of one object among many; *before* and *after* must hold no secrets."""

    object_id: str
    before: msgspec.Struct
    after: msgspec.Struct


async def write_many(
    connection: Connection, caller: Caller, action: Action, object_type: ObjectType, changes: Sequence[Change]
) -> None:
    """Record the same change of many objects, in the transaction that makes it."""
    await connection.execute(
        queries.write_many,
        caller.key_id,
        caller.name,
        action,
        object_type,
        [change.object_id for change in changes],
        [_text(change.before) for change in changes],
        [_text(change.after) for change in changes],
    )


async def page(
    database: Database, object_type: str | None, object_id: str | None, before: int | None, limit: int
) -> list[AuditEntry]:
    """Up to *limit* entries, newest first, before entry *before*."""
    rows = await database.fetch(queries.page, object_type, object_id, before, limit)
    return [
        AuditEntry(
            audit_id=row["audit_id"],
            at_utc=row["at_utc"],
            key_id=row["key_id"],
            key_name=row["key_name"],
            action=row["action"],
            object_type=row["object_type"],
            object_id=row["object_id"],
            before=_value(row["before"]),
            after=_value(row["after"]),
        )
        for row in rows
    ]


async def was_created(database: Database, object_type: ObjectType, object_id: str) -> bool:
    """Whether the hub ever created the object; *object_id* is compared without regard to case."""
    return bool(await database.fetch(queries.was_created, object_type, object_id))


def _text(value: msgspec.Struct | None) -> str | None:
    return None if value is None else write_json(value).decode()


def _value(text: str | None) -> Any:
    return None if text is None else read_json(text)
