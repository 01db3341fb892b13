"""The events that a run processes: reading the request into a selection."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields, gathered
from learning_hub.model.ids import read_bucket, read_event_id
from learning_hub.model.run import ProcessBody

# A request may name thousands of events; the first bad names are enough for a response.
MOST_ERRORS = 100


class EventSelection(msgspec.Struct, frozen=True, kw_only=True):
    """The selected events of one Program: of a day, by uuid, or both; with neither, all with unfinished deliveries."""

    program_id: str
    day: date | None = None
    event_uuids: list[UUID] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether all events with unfinished deliveries are selected."""
        return self.day is None and self.event_uuids is None


def read_selection(
    body: ProcessBody, program_of_subscription: str | None, *, unread: Collection[str] = ()
) -> EventSelection | None:
    """
    The events that *body* selects; None if none of the fields that select events could be read.

    Args:
        body: The request, with the fields that could be read.
        program_of_subscription: The Program of the named subscription, None if the request names none.
        unread: Fields that were sent and could not be read.

    Raises:
        InvalidFields: No field selects events, a value is malformed, or two fields name different Programs.
    """
    programs: dict[str, str] = {}
    errors: list[FieldError] = []
    day = event_uuids = None
    if body.event_date_bucket is not None:
        with gathered(errors):
            programs["EventDateBucket"], day = _bucket(body.event_date_bucket)
    if body.event_ids is not None:
        with gathered(errors):
            programs["EventIds"], event_uuids = _events(body.event_ids)
    if body.program_id is not None:
        programs["ProgramId"] = body.program_id
    if program_of_subscription is not None:
        programs["SubscriptionId"] = program_of_subscription
    named = {*programs, *unread, *(error.field for error in errors)}
    if not named:
        errors.append(FieldError("EventDateBucket", "or SubscriptionId, EventIds or ProgramId is needed"))
    elif body.replay and not {"EventDateBucket", "EventIds"} & {name.partition("[")[0] for name in named}:
        errors.append(FieldError("Replay", "needs an EventDateBucket or EventIds: which events to send again"))
    first = next(iter(programs.values()), None)
    errors += [FieldError(name, "names another Program") for name, other in programs.items() if other != first]
    if errors:
        raise InvalidFields(errors)
    if first is None:
        return None
    return EventSelection(program_id=first, day=day, event_uuids=event_uuids)


def _bucket(text: str) -> tuple[str, date]:
    bucket = read_bucket(text)
    if bucket is None:
        raise InvalidFields([FieldError("EventDateBucket", "must be {ProgramId}-LB-YYYYMMDD")])
    return bucket


def _events(texts: list[str]) -> tuple[str, list[UUID]]:
    keys = [read_event_id(text) for text in texts]
    errors = [FieldError(f"EventIds[{index}]", "is not an EventId") for index, key in enumerate(keys) if key is None]
    errors += [
        FieldError(f"EventIds[{index}]", "is of another Program than the first")
        for index, key in enumerate(keys)
        if key and keys[0] and key.program_id != keys[0].program_id
    ]
    if errors:
        raise InvalidFields(errors[:MOST_ERRORS])
    valid = [key for key in keys if key]
    return valid[0].program_id, [key.event_uuid for key in valid]
