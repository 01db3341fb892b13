"""What deliveries are about, read together for all that were claimed together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from learning_hub.model.delivery import Claimed
from learning_hub.model.event import Event
from learning_hub.store import events
from learning_hub.store.database import Database, Row
from learning_hub.store.queries import Queries

queries = Queries("duties")

# When something was last changed, and what else makes it another: archived since, or checked.
Version = tuple[datetime, datetime | None]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one delivery is about, as of the moment it was claimed.

    *known_participant_id* is who the participant is at the subscriber, None where that is not remembered.
    """

    event: Event
    program_name: str
    subscription_version: Version
    subscriber_version: Version
    known_participant_id: str | None


async def load(database: Database, claimed: Sequence[Claimed]) -> dict[UUID, About]:
    """What these deliveries are about, by their uuid; one whose event or subscription is missing is left out."""
    rows = await database.fetch(
        queries.load, [one.key.program_id for one in claimed], [one.key.delivery_uuid for one in claimed]
    )
    return {row["delivery_uuid"]: _read(row) for row in rows}


def _read(row: Row) -> About:
    return About(
        event=events.read_row(row),
        program_name=row["program_name"],
        subscription_version=(row["subscription_changed_utc"], row["subscription_archived_utc"]),
        subscriber_version=(row["subscriber_changed_utc"], row["credentials_checked_utc"]),
        known_participant_id=row["subscriber_participant_id"],
    )
