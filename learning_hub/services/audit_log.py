"""The audit log: who changed what."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.audit import AuditEntry, ObjectType
from learning_hub.model.pagination import Cursor, Limit, Listing, Page
from learning_hub.store import audit
from learning_hub.store.database import Database

LISTING = Listing("audit", ordered_by="audit_id")


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The filter of a list of audit entries."""

    object_type: ObjectType | None = None
    object_id: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class AuditLog:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, query: AuditQuery) -> Page[AuditEntry]:
        """Entries newest first."""
        before = _read_cursor(query.cursor)
        found = await audit.page(self._database, query.object_type, query.object_id, before, query.limit + 1)
        return LISTING.page(found, query.limit)


def _read_cursor(cursor: str | None) -> int | None:
    text = LISTING.after(cursor)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise LISTING.foreign()
    return int(text)
