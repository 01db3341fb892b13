"""What a publisher does with its events: publish, replace, withdraw, and validate without storing."""

from __future__ import annotations

import asyncio
from typing import Literal

from learning_hub.model.caller import Caller
from learning_hub.model.clock import now
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.event import Event, SourceKey, classify
from learning_hub.model.ids import EventKey
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.submission import Published, idempotency_key_reused, request_hash
from learning_hub.publish.writer import Writer
from learning_hub.store import events, idempotency_keys, programs
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications


class Publisher:
    """The publishing side of the hub, apart from HTTP."""

    def __init__(self, database: Database, notifications: Notifications, writer: Writer) -> None:
        self._database = database
        self._notifications = notifications
        self._writer = writer

    def submit(
        self, event: ReceivedEvent, caller: Caller, idempotency_key: str | None = None
    ) -> asyncio.Future[Published]:
        """
        Store *event* unless the latest revision of its source has equal content.

        Returns:
            A future that is done once the outcome is durably committed. It may raise InvalidFields, where a key for all
            Programs named one that does not exist or takes no events any more; Conflict, where the Idempotency-Key was
            used with other content; Unavailable, where the database is away.

        Raises:
            NotAllowed: The key is not for the event's Program.
            Unavailable: Too many events are waiting to be stored.
        """
        caller.need_program(event.publisher_program_id)
        return self._writer.submit(event, idempotency_key).future

    async def replace(self, key: EventKey, event: ReceivedEvent, caller: Caller) -> Published:
        """
        Store *event* as the next revision of the source of the event *key*.

        Raises:
            NotFound: There is no such event.
            Conflict: A part of the source key differs from that of the event in the address.
            InvalidFields: Its Program takes no events any more.
        """
        existing = await self.need_event(key, caller)
        if event.source_key != source_key_of(existing):
            raise Conflict(
                "PublisherProgramId, PublisherSystemId, PublisherEventId and EventType must be those of the event in "
                "the address.",
                code="source_key_differs",
            )
        return await self._writer.publish(event)

    async def withdraw(self, key: EventKey, caller: Caller) -> None:
        """
        Withdraw an event; withdrawing it again changes nothing.

        Raises:
            NotFound: There is no such event.
            Conflict: It is not the latest revision of its source.
        """
        while True:
            existing = await self.need_event(key, caller)
            await self._need_latest(key, existing)
            if existing.withdrawn_utc:
                return
            if await events.append_withdrawal(self._database, key, now()):
                self._notifications.notify(self._notifications.feed)
                return
            # Another writer was first, with the withdrawal itself or with a newer revision: check again.

    async def would_be(
        self, event: ReceivedEvent, caller: Caller, idempotency_key: str | None = None
    ) -> Literal["new", "same", "revision"]:
        """
        Classify *event* without storing it; `same` also where its Idempotency-Key was answered before.

        Raises:
            NotAllowed, InvalidFields, Conflict: As for `submit`.
        """
        program_id = event.publisher_program_id
        caller.need_program(program_id)
        async with self._database.connection() as connection:
            if idempotency_key is not None:
                kept = await idempotency_keys.find(connection, [(program_id, idempotency_key)])
                for answer in kept.values():
                    if answer.request_hash != request_hash(event.source_key, event.content_hash):
                        raise idempotency_key_reused()
                    return "same"
            if closed := await events.closed_programs(connection, [program_id]):
                raise InvalidFields([FieldError("PublisherProgramId", closed[program_id])])
            (latest,) = await events.latest_entries(connection, [event.source_key])
        return classify(latest, event.content_hash).would_be

    async def need_event(self, key: EventKey, caller: Caller) -> Event:
        """
        The event *key*.

        Raises:
            NotAllowed: The key is not for its Program.
            NotFound: There is no such event.
        """
        caller.need_program(key.program_id)
        existing = await events.find_event(self._database, key)
        if existing is None:
            raise NotFound(f"There is no event {key}.")
        return existing

    async def program_faults(self, program_id: str, caller: Caller) -> list[FieldError]:
        """The bad field where the Program takes no events; none for a caller who may not use the Program."""
        if not caller.may_use(program_id):
            return []
        async with self._database.connection() as connection:
            closed = await events.closed_programs(connection, [program_id])
        return [FieldError("PublisherProgramId", closed[program_id])] if closed else []

    async def need_known_program(self, program_id: str, caller: Caller, *, field: str) -> None:
        """
        Check that the caller's key is for the Program, and that the Program exists.

        Raises:
            NotAllowed: The key is not for the Program.
            InvalidFields: The key is for all Programs, and there is no such Program; *field* is the bad field.
        """
        caller.need_program(program_id)
        if caller.has_every_program and await programs.find(self._database, program_id) is None:
            raise InvalidFields([FieldError(field, "is not a known Program")])

    async def _need_latest(self, key: EventKey, event: Event) -> None:
        async with self._database.connection() as connection:
            (latest,) = await events.latest_entries(connection, [source_key_of(event)])
        if latest is None or latest.event_uuid != key.event_uuid:
            raise Conflict(f"{key} is not the latest revision of its source.", code="not_latest_revision")


def source_key_of(event: Event) -> SourceKey:
    """The source key of a stored event."""
    return SourceKey(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id, event.event_type)
