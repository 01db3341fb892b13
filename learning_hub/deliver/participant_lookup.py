"""Who a publisher's participant is at a subscriber: remembered, or asked."""

from __future__ import annotations

from learning_hub.connectors.base import (
    Connector,
    ParticipantFound,
    ParticipantResult,
    Recorder,
)
from learning_hub.model.event import Event
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import participants
from learning_hub.store.database import Database


class Participants:
    """Resolves participants; what was looked up is remembered for a while, in every process."""

    def __init__(self, database: Database, *, remembered_seconds: float) -> None:
        self._database = database
        self._remembered_seconds = remembered_seconds

    async def look_up(
        self, connector: Connector, subscriber: Subscriber, event: Event, recorder: Recorder
    ) -> ParticipantResult:
        """Ask the subscriber for the participant of *event*, and remember the answer; or why there is none."""
        result = await connector.find_participant(event.publisher_participant_id, recorder)
        if isinstance(result, ParticipantFound):
            await participants.remember(
                self._database,
                subscriber_id=subscriber.subscriber_id,
                program_id=event.publisher_program_id,
                publisher_system_id=event.publisher_system_id,
                publisher_participant_id=event.publisher_participant_id,
                subscriber_participant_id=result.participant_id,
                seconds=self._remembered_seconds,
            )
            return result
        # Somebody may have settled it while the subscriber was asked.
        known = await self.remembered(subscriber.subscriber_id, event)
        return result if known is None else ParticipantFound(known)

    async def forget(self, subscriber_id: str, event: Event) -> None:
        """Look the participant up again the next time: the subscriber does not know the one that was found."""
        await participants.forget_found(
            self._database,
            subscriber_id=subscriber_id,
            program_id=event.publisher_program_id,
            publisher_system_id=event.publisher_system_id,
            publisher_participant_id=event.publisher_participant_id,
        )

    async def remembered(self, subscriber_id: str, event: Event) -> str | None:
        """The participant's id at the subscriber as it is remembered, without asking anybody."""
        known = await participants.find(
            self._database,
            subscriber_id=subscriber_id,
            program_id=event.publisher_program_id,
            publisher_system_id=event.publisher_system_id,
            publisher_participant_id=event.publisher_participant_id,
        )
        return known.subscriber_participant_id if known else None
