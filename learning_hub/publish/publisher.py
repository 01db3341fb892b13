"""What a publisher may do with its events: publish, replace, withdraw, and ask what would happen."""

from __future__ import annotations

from typing import Literal

from learning_hub.model.access import Caller
from learning_hub.model.clock import now
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.event import Event, NewEvent, SourceKey, judge
from learning_hub.model.ids import EventKey
from learning_hub.publish.writer import Published, Writer
from learning_hub.store import events, programs
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database


class Publisher:
    """The publishing side of the hub, apart from HTTP."""

    def __init__(self, database: Database, bells: Bells, writer: Writer) -> None:
        self._database = database
        self._bells = bells
        self._writer = writer

    async def publish(self, event: NewEvent, caller: Caller, idempotency_key: str | None = None) -> Published:
        """
        Store *event* unless the latest revision of its source has equal content.

        Raises:
            NotAllowed: The key is not for the event's Program.
            InvalidFields: A key for all Programs named one that does not exist or takes no events any more.
            Conflict: The Idempotency-Key was used with other content.
        """
        await self.need_program(event.publisher_program_id, caller)
        return await self._writer.publish(event, idempotency_key)

    async def replace(self, key: EventKey, event: NewEvent, caller: Caller) -> Published:
        """
        Store *event* as the next revision of the source of the event *key*.

        Raises:
            NotFound: There is no such event.
            Conflict: A part of the source key differs from that of the event in the address.
        """
        there = await self.need_event(key, caller)
        if event.source_key != source_key_of(there):
            raise Conflict(
                "PublisherProgramId, PublisherSystemId, PublisherEventId and EventType must be those of the event in "
                "the address.",
                code="source_key_differs",
            )
        await self.need_program(event.publisher_program_id, caller)
        return await self._writer.publish(event)

    async def withdraw(self, key: EventKey, caller: Caller) -> None:
        """
        Withdraw an event; once more changes nothing.

        Raises:
            NotFound: There is no such event.
            Conflict: It is not the latest revision of its source.
        """
        there = await self.need_event(key, caller)
        if there.withdrawn_utc:
            await self._need_latest(key, there)
            return
        if await events.append_withdrawal(self._database, key, now()):
            self._bells.ring(self._bells.feed)
            return
        # Somebody was first: with the withdrawal itself, or with a newer revision.
        await self._need_latest(key, there)

    async def would_be(self, event: NewEvent) -> Literal["new", "same", "revision"]:
        """What publishing *event* would make of it now."""
        async with self._database.connection() as connection:
            (latest,) = await events.latest_entries(connection, [event.source_key])
        return judge(latest, event.content_hash()).would_be

    async def need_event(self, key: EventKey, caller: Caller) -> Event:
        """
        The event *key*.

        Raises:
            NotAllowed: The key is not for its Program.
            NotFound: There is no such event.
        """
        caller.need_program(key.program_id)
        there = await events.find_event(self._database, key)
        if there is None:
            raise NotFound(f"There is no event {key}.")
        return there

    async def need_program(self, program_id: str, caller: Caller) -> None:
        """
        Go on only if the key is for the Program and the Program takes events.

        A key for some Programs learns nothing about others; a key for all of them is told which field is wrong.
        """
        caller.need_program(program_id)
        program = await programs.find(self._database, program_id)
        if program is None:
            raise InvalidFields([FieldError("PublisherProgramId", "is not a known Program")])
        if program.archived_utc is not None:
            raise InvalidFields([FieldError("PublisherProgramId", "is archived and takes no events")])

    async def _need_latest(self, key: EventKey, event: Event) -> None:
        async with self._database.connection() as connection:
            (latest,) = await events.latest_entries(connection, [source_key_of(event)])
        if latest is None or latest.event_uuid != key.event_uuid:
            raise Conflict(f"{key} is not the latest revision of its source.", code="not_latest_revision")


def source_key_of(event: Event) -> SourceKey:
    """The source key of a stored event."""
    return SourceKey(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id, event.event_type)
