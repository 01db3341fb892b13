"""The record key: the hub's own key of a source record, which the subscriber stores with the record."""

from __future__ import annotations

import uuid
from uuid import UUID

import msgspec

_NAMESPACE = UUID("6f1d3f9e-5f0e-4c53-9d5c-0b1a2f6c7d11")


def record_key(program_id: str, subscription_id: str, publisher_system_id: str, publisher_event_id: str) -> str:
    """
    The hub's own key of a source record at a subscription, which the subscriber stores with the record.

    36 characters; the same for all revisions and event types of the source record, different for every other record
    and subscription.
    """
    parts = (program_id, subscription_id, publisher_system_id, publisher_event_id)
    return str(uuid.uuid5(_NAMESPACE, msgspec.json.encode(parts).decode()))
