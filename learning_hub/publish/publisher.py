"""The operations of a publisher: publishing events, and classifying them without storing them."""

from __future__ import annotations

import asyncio
from typing import Literal

from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.event import classify
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.submission import Published, idempotency_key_reused, request_hash
from learning_hub.publish.writer import Writer
from learning_hub.store import events, idempotency_keys, programs
from learning_hub.store.database import Database


class Publisher:
    """The publishing operations, without HTTP."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def submit(
        self,
        event: ReceivedEvent,
        caller: Caller,
        idempotency_key: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> asyncio.Future[Published]:
        """
        Store *event* unless the latest revision of its source has equal content; *precondition* is about that revision.

        Returns:
            A future that is done once the outcome is durably committed. It may raise InvalidFields, if a key for all
            Programs was used with a Program that does not exist or no longer accepts events; Conflict, if the
            Idempotency-Key was used with other content; PreconditionFailed; Unavailable, if the database is away.

        Raises:
            NotAllowed: The key is not for the event's Program.
            Unavailable: Too many events are waiting to be stored.
        """
        caller.need_program(event.publisher_program_id)
        return self._writer.submit(event, idempotency_key, precondition).future

    async def would_be(
        self, event: ReceivedEvent, caller: Caller, idempotency_key: str | None = None
    ) -> Literal["new", "same", "revision"]:
        """
        Classify *event* without storing it; `same` also if its Idempotency-Key is stored with the same content.

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
            if closed := await programs.closed(connection, [program_id]):
                raise InvalidFields([FieldError("PublisherProgramId", closed[program_id])])
            (latest,) = await events.latest_entries(connection, [event.source_key])
        return classify(latest, event.content_hash).would_be
