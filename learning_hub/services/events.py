"""Single events: read, replace and withdraw one; and read the body of an event that is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from learning_hub.model.caller import Caller
from learning_hub.model.errors import MOST_ERRORS_OF_EVENT, Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.event import Event, LatestEntry, SourceKey, event_tag
from learning_hub.model.fields import read_object
from learning_hub.model.ids import EventKey, read_event_id
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.received_event import ReceivedEvent, program_named, read_event, read_event_fast
from learning_hub.model.subscription import Subscription
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.submission import Published
from learning_hub.services.programs import closed_program_errors
from learning_hub.store import events
from learning_hub.store.database import Database
from learning_hub.store.events import FoundEvent
from learning_hub.store.notifications import Notifications

# Returns why a Program accepts no events.
ProgramErrors = Callable[[str], Awaitable[list[FieldError]]]


class Events:
    """
    What callers do with single events, apart from publishing new ones.

    *max_data_bytes* is the limit for the data of an event.
    """

    def __init__(
        self, database: Database, publisher: Publisher, notifications: Notifications, *, max_data_bytes: int
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._notifications = notifications
        self._max_data_bytes = max_data_bytes

    async def get(self, caller: Caller, event_id: str) -> FoundEvent:
        """
        One event, and the tag of its latest revision.

        Raises:
            NotAllowed: The key is not for its Program.
            NotFound: The event does not exist.
        """
        key = need_event_key(event_id)
        caller.need_program(key.program_id)
        event = await events.find_event_detail(self._database, key)
        if event is None:
            raise no_such_event(event_id)
        return event

    async def read_body(self, caller: Caller, body: bytes) -> ReceivedEvent:
        """
        The event in a body that *caller* sent.

        Raises:
            InvalidInput: The body is not a well-formed JSON object.
            InvalidFields: With every bad field; that its Program accepts no events is reported with them.
            TooLarge: The data alone are over the limit.
        """
        event = read_event_fast(body, max_data_bytes=self._max_data_bytes)
        if event is not None:
            return event
        return await read_any_event_body(
            body, max_data_bytes=self._max_data_bytes, program_errors=partial(self.program_errors, caller)
        )

    async def program_errors(self, caller: Caller, program_id: str) -> list[FieldError]:
        """Why a Program accepts no events; the result of `closed_program_errors`."""
        return await closed_program_errors(self._database, caller, program_id)

    async def replace(
        self, caller: Caller, event_id: str, event: ReceivedEvent, precondition: Precondition = NO_PRECONDITION
    ) -> Published:
        """
        Store *event* as the next revision of the source of the event *event_id*.

        Raises:
            NotAllowed, NotFound: As for `get`.
            PreconditionFailed: The precondition does not hold of the latest revision.
            Conflict: A part of the source key differs.
            InvalidFields: Its Program takes no events any more.
        """
        existing = (await self.get(caller, event_id)).event
        if event.source_key != _source_key(existing):
            raise source_key_differs()
        return await self._publisher.submit(event, caller, precondition=precondition)

    async def withdraw(self, caller: Caller, event_id: str, precondition: Precondition = NO_PRECONDITION) -> None:
        """
        Withdraw the latest revision of an event's source; withdrawing it again changes nothing.

        *event_id* may be that of any revision, because some publishers keep only the first.

        Raises:
            NotAllowed, NotFound: As for `get`.
            PreconditionFailed: The precondition does not hold of the latest revision.
        """
        source = _source_key((await self.get(caller, event_id)).event)
        while True:
            latest = await self._latest_entry(source)
            if latest.is_withdrawal:
                # The revision that the caller has seen is withdrawn, perhaps by this request when it came before.
                precondition.check(latest.tag, event_tag(latest.event_uuid, is_withdrawn=False))
                return
            precondition.check(latest.tag)
            key = EventKey(source.program_id, latest.event_uuid)
            if await events.append_withdrawal(self._database, key):
                self._notifications.notify(self._notifications.feed)
                return
            # Another writer was first, with the withdrawal itself or with a newer revision: check again.

    async def _latest_entry(self, source: SourceKey) -> LatestEntry:
        async with self._database.connection() as connection:
            (latest,) = await events.latest_entries(connection, [source])
        if latest is None:
            # The source was removed since it was read.
            raise NotFound("There is no such event any more.")
        return latest


def need_event_key(event_id: str) -> EventKey:
    """The key in an EventId; NotFound if the text is not an EventId."""
    key = read_event_id(event_id)
    if key is None:
        raise NotFound("There is no such event: an EventId is E:{ProgramId}-{UUID}.")
    return key


async def need_event(database: Database, key: EventKey) -> Event:
    """The event; NotFound if it does not exist."""
    event = await events.find_event(database, key)
    if event is None:
        raise no_such_event(str(key))
    return event


async def need_event_of(database: Database, subscription: Subscription, event_id: str) -> tuple[EventKey, Event]:
    """
    The event that a body names for a subscription, and its key.

    Raises:
        InvalidFields: The text is not an EventId, or the subscription's Program has no such event.
    """
    key = read_event_id(event_id)
    if key is None:
        raise InvalidFields([FieldError("EventId", "must be E:{ProgramId}-{UUID}")])
    event = await events.find_event(database, key) if key.program_id == subscription.program_id else None
    if event is None:
        raise InvalidFields([FieldError("EventId", "is not an event of the subscription's Program")])
    return key, event


def no_such_event(event_id: str) -> NotFound:
    """The error for an event that does not exist."""
    return NotFound(f"There is no event {event_id}.")


def source_key_differs() -> Conflict:
    """The error for an event that is to replace one with another source key."""
    return Conflict(
        "PublisherProgramId, PublisherSystemId, PublisherEventId and EventType must be those of the event that is "
        "replaced.",
        code="source_key_differs",
    )


def _source_key(event: Event) -> SourceKey:
    """The source key of a stored event."""
    return SourceKey(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id, event.event_type)


async def read_any_event_body(body: bytes, *, max_data_bytes: int, program_errors: ProgramErrors) -> ReceivedEvent:
    """
    The event in a body that the fast path, `read_event_fast`, does not read.

    Args:
        body: The body as sent.
        max_data_bytes: Limit for PublisherEventData.
        program_errors: Called if fields are bad, so that a Program that accepts no events is reported with them.

    Raises:
        InvalidInput, InvalidFields, TooLarge: As for `Events.read_body`.
    """
    fields = read_object(body)
    try:
        return read_event(fields, max_data_bytes=max_data_bytes)
    except InvalidFields as error:
        program_id = program_named(fields)
        errors = await program_errors(program_id) if program_id else []
        raise InvalidFields(errors + error.errors, most=MOST_ERRORS_OF_EVENT) from None
