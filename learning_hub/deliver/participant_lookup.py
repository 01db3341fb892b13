"""
The look-up of participants: asking a subscriber for a participant's id there, and remembering the answer.

A *match* is a person's decision about the same question (`store.participants`); it goes before every look-up.
"""

from __future__ import annotations

from learning_hub.connectors.base import Connector, Recorder
from learning_hub.connectors.outcomes import ParticipantFound, ParticipantResult
from learning_hub.model.event import Event
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import participants
from learning_hub.store.database import Database


class ParticipantLookup:
    """Looks participants up; every process remembers an answer for *remembered_seconds*."""

    def __init__(self, database: Database, *, remembered_seconds: float) -> None:
        self._database = database
        self._remembered_seconds = remembered_seconds

    async def look_up(
        self, connector: Connector, subscriber: Subscriber, event: Event, recorder: Recorder
    ) -> ParticipantResult:
        """Ask the subscriber for the participant of *event*, and remember the answer; or why it has no such person."""
        result = await connector.find_participant(event.publisher_participant_id, recorder)
        if isinstance(result, ParticipantFound):
            await participants.save_look_up(
                self._database,
                subscriber_id=subscriber.subscriber_id,
                program_id=event.publisher_program_id,
                publisher_system_id=event.publisher_system_id,
                publisher_participant_id=event.publisher_participant_id,
                subscriber_participant_id=result.participant_id,
                seconds=self._remembered_seconds,
            )
            return result
        # A person may have matched the participant while the subscriber was asked.
        known = await self.known_id(subscriber.subscriber_id, event)
        return result if known is None else ParticipantFound(known)

    async def known_id(self, subscriber_id: str, event: Event) -> str | None:
        """The participant's id at the subscriber by a match or a remembered look-up; the subscriber is not asked."""
        known = await participants.find(
            self._database,
            subscriber_id=subscriber_id,
            program_id=event.publisher_program_id,
            publisher_system_id=event.publisher_system_id,
            publisher_participant_id=event.publisher_participant_id,
        )
        return known.subscriber_participant_id if known else None

    async def forget(self, subscriber_id: str, event: Event) -> None:
        """Ask the subscriber again the next time; a match stays."""
        await participants.delete_look_up(
            self._database,
            subscriber_id=subscriber_id,
            program_id=event.publisher_program_id,
            publisher_system_id=event.publisher_system_id,
            publisher_participant_id=event.publisher_participant_id,
        )
