"""The audit log over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.lists import Cursor, Limit, Listing, Page
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.model.audit import AuditEntry, ObjectType
from learning_hub.store import audit

LISTING = Listing("audit", ordered_by="audit_id")
EXAMPLE = {
    "AuditId": 17,
    "AtUtc": "2026-11-22T08:00:00Z",
    "KeyId": "admin",
    "KeyName": "admin key of the settings",
    "Action": "create",
    "ObjectType": "program",
    "ObjectId": "NURSES",
    "Before": None,
    "After": {
        "ProgramId": "NURSES",
        "Name": "Nurses' continuing education",
        "CreatedUtc": "2026-11-22T08:00:00Z",
        "ArchivedUtc": None,
    },
}


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which entries of the audit log."""

    object_type: ObjectType | None = None
    object_id: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@route(
    Operation(
        method="GET",
        path="/audit",
        operation_id="listAudit",
        summary="Read who changed what, newest first",
        tag="Setting up",
        scopes=("admin",),
        query=AuditQuery,
        answers=(
            Answer(
                status=200,
                meaning="Changes with what was before and after, without secrets.",
                body=Page[AuditEntry],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
    )
)
async def list_audit(call: Call) -> Reply:
    query = call.query(AuditQuery)
    found = await audit.page(
        call.hub.database, query.object_type, query.object_id, _read_cursor(query.cursor), query.limit + 1
    )
    return Reply(body=LISTING.page(found, query.limit))


def _read_cursor(cursor: str | None) -> int | None:
    text = LISTING.after(cursor)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise LISTING.foreign()
    return int(text)


ROUTES = (list_audit,)
