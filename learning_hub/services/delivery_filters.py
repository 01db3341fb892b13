"""Which deliveries a list, a requeue or the groups of failures mean: filters, found valid for the caller."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from learning_hub.model.caller import Caller
from learning_hub.model.delivery import State
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.failure import CAUSES, FailureClass
from learning_hub.model.ids import EventKey, read_event_id
from learning_hub.model.pagination import Cursor, Limit
from learning_hub.services.programs import need_program
from learning_hub.services.subscribers import visible_subscriber
from learning_hub.store import events, subscriptions
from learning_hub.store.database import Database

Id = Annotated[str, Meta(min_length=1, max_length=25)]


class FilterQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are meant."""

    state: State | None = None
    subscription_id: Id | None = None
    subscriber_id: Id | None = None
    program_id: Id | None = None
    class_: Annotated[FailureClass, Meta(description="Who is responsible.")] | None = msgspec.field(
        name="Class", default=None
    )
    code: Annotated[str, Meta(max_length=50)] | None = None
    signature: (
        Annotated[str, Meta(pattern="^[0-9a-f]{12}$", description="Of a group of failures by like cause.")] | None
    ) = None
    event_id: Annotated[str, Meta(max_length=100)] | None = None


class DeliveriesQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are listed, and how many."""

    limit: Limit = 100
    cursor: Cursor | None = None


class RequeueQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are put back; of other states none can be."""

    state: Literal["parked", "retrying", "skipped"] | None = None


class GroupsQuery(DeliveriesQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are grouped: failures are retrying or parked, and waiting is what a pause holds up."""

    state: Literal["waiting", "retrying", "parked"] | None = None


async def read_filter(database: Database, caller: Caller, query: FilterQuery) -> DeliveryFilter:
    """
    The deliveries that *query* means, of the caller's Programs.

    Raises:
        NotAllowed: It names a Program that the key is not for.
        InvalidFields: It names something that does not exist.
    """
    if query.program_id is not None:
        await need_program(database, caller, query.program_id)
    event = read_event_id(query.event_id) if query.event_id is not None else None
    if event is not None:
        caller.need_program(event.program_id)
    if errors := await _unknown(database, caller, query, event):
        raise InvalidFields(errors)
    return DeliveryFilter(
        programs=[query.program_id] if query.program_id is not None else caller.visible_programs,
        state=query.state,
        subscription_id=query.subscription_id,
        subscriber_id=query.subscriber_id,
        class_=query.class_,
        code=query.code,
        signature=query.signature,
        event=event,
    )


async def _unknown(database: Database, caller: Caller, query: FilterQuery, event: EventKey | None) -> list[FieldError]:
    """Filters that name what does not exist: a mistyped one must not look like an empty list."""
    errors = []
    if query.subscription_id is not None:
        subscription = await subscriptions.find(database, query.subscription_id)
        if subscription is None or not caller.may_use(subscription.program_id):
            errors.append(FieldError("SubscriptionId", "is not a known subscription"))
    if query.subscriber_id is not None and await visible_subscriber(database, caller, query.subscriber_id) is None:
        errors.append(FieldError("SubscriberId", "is not a known subscriber"))
    if query.event_id is not None and (event is None or await events.find_event(database, event) is None):
        errors.append(FieldError("EventId", "is not an EventId" if event is None else "is not a known event"))
    if query.code is not None and query.code not in CAUSES:
        errors.append(FieldError("Code", "is not a known code"))
    return errors
