"""A publisher's participant and its id at a subscriber, by a person's match or by a look-up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from learning_hub.model.precondition import entity_tag


class Participant(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A publisher's participant and its id at the subscriber, as a person matched it or the hub looked it up."""

    subscriber_id: str
    program_id: str
    publisher_system_id: Annotated[str, Meta(description="Null: for every system of the Program.")] | None
    publisher_participant_id: str
    subscriber_participant_id: str
    settled_by: (
        Annotated[str, Meta(description="KeyId of the person who matched it; null if the hub looked it up.")] | None
    )
    changed_utc: Annotated[datetime, Meta(description="When it was matched or looked up.")]
    expires_utc: (
        Annotated[datetime, Meta(description="When it is looked up again; null: a match stays until changed.")] | None
    )

    @property
    def tag(self) -> str:
        return entity_tag(self, Participant)

    @property
    def position(self) -> str:
        """Its position in a list: the participant and its system as one text."""
        return msgspec.json.encode((self.publisher_participant_id, self.publisher_system_id or "")).decode()
