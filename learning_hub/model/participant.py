"""Who a publisher's participant is at a subscriber."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Participant(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A publisher's participant and its id at the subscriber, as settled by hand or as looked up."""

    subscriber_id: str
    program_id: str
    publisher_system_id: Annotated[str, Meta(description="Null: for every system of the Program.")] | None
    publisher_participant_id: str
    subscriber_participant_id: str
    settled_by: (
        Annotated[str, Meta(description="KeyId of who settled it by hand; null where the hub looked it up.")] | None
    )
    changed_utc: Annotated[datetime, Meta(description="When it was settled or looked up.")]
    expires_utc: Annotated[datetime, Meta(description="When it is looked up again; null: until changed.")] | None

    @property
    def place(self) -> str:
        """Where it stands in a list: the participant and its system, as one text."""
        return msgspec.json.encode((self.publisher_participant_id, self.publisher_system_id or "")).decode()
