"""Read the body of an event: the fast path for a valid event, and every bad field of any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.fields import read_object
from learning_hub.model.received_event import ReceivedEvent, program_named, read_event, read_event_fast

# Returns why a Program accepts no events.
ProgramErrors = Callable[[str], Awaitable[list[FieldError]]]


async def read_event_body(body: bytes, *, max_data_bytes: int, program_errors: ProgramErrors) -> ReceivedEvent:
    """
    The event in a body.

    Args:
        body: The body as sent.
        max_data_bytes: Limit for PublisherEventData.
        program_errors: Called if fields are bad, so that a Program that accepts no events is reported with them.

    Raises:
        InvalidInput: The body is not a well-formed JSON object.
        InvalidFields: With every bad field.
        TooLarge: The data alone are over the limit.
    """
    event = read_event_fast(body, max_data_bytes=max_data_bytes)
    if event is not None:
        return event
    return await read_any_event_body(body, max_data_bytes=max_data_bytes, program_errors=program_errors)


async def read_any_event_body(body: bytes, *, max_data_bytes: int, program_errors: ProgramErrors) -> ReceivedEvent:
    """The same without the fast path, for a caller that has tried that one."""
    fields = read_object(body)
    try:
        return read_event(fields, max_data_bytes=max_data_bytes)
    except InvalidFields as error:
        program_id = program_named(fields)
        errors = await program_errors(program_id) if program_id else []
        raise InvalidFields(errors + error.errors) from None
