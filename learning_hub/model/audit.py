"""An entry of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Action = Literal["create", "update", "archive", "revoke", "requeue", "discard", "settle", "forget"]
ObjectType = Literal["program", "key", "subscriber", "subscription", "delivery", "participant", "panel"]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One change: who made it, when, and the object before and after it, without secrets."""

    audit_id: int
    at_utc: datetime
    key_id: Annotated[str, Meta(description="`admin` for the key from the settings, `cli` for the command line.")]
    key_name: str
    action: Action
    object_type: ObjectType
    object_id: Annotated[
        str,
        Meta(description="Of many deliveries that were requeued or discarded together: the id of the run that did."),
    ]
    before: Any
    after: Any
