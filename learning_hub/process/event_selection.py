"""What may be asked of the process stage."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from learning_hub.model.errors import FieldError, InvalidFields, gathered
from learning_hub.model.ids import read_bucket, read_event_id

# Of thousands of events that are named the first bad ones tell enough.
MOST_ERRORS = 100

Id = Annotated[str, Meta(min_length=1, max_length=25)]


class ProcessBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which events to process, for whom, and how. One of the first four is needed."""

    event_date_bucket: Annotated[str, Meta(max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None = None
    subscription_id: (
        Annotated[Id, Meta(description="Only this subscription; it sends even when it is stopped.")] | None
    ) = None
    event_ids: Annotated[list[str], Meta(min_length=1, max_length=10_000)] | None = None
    program_id: (
        Annotated[
            Id, Meta(description="With nothing else: everything since each subscription's place, and what waits.")
        ]
        | None
    ) = None
    replay: Annotated[
        bool, Meta(description="Also events delivered before; each becomes a new delivery with its own id.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Render only; store and send nothing.")] = False
    wait: Annotated[bool, Meta(description="Wait up to 25 seconds for the end; false answers 202 at once.")] = True


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of one Program are meant; with neither *day* nor *event_uuids*, all that is not settled."""

    program_id: str
    day: date | None = None
    event_uuids: list[UUID] | None = None


def read_scope(body: ProcessBody, program_of_subscription: str | None, *, unread: Collection[str] = ()) -> Scope | None:
    """
    The events that *body* means; None where only what could not be read would say.

    Args:
        body: What was asked for, as far as it could be read.
        program_of_subscription: The Program of the subscription that is named, None when none is.
        unread: Fields that were sent and could not be read.

    Raises:
        InvalidFields: Nothing is named, something cannot be read, or two parts name different Programs.
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
    return Scope(program_id=first, day=day, event_uuids=event_uuids)


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
    found = [key for key in keys if key]
    return found[0].program_id, [key.event_uuid for key in found]
