"""Filters of deliveries for lists, requeueing and the groups of failures, validated for the caller."""

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
    """The filter of deliveries."""

    state: State | None = None
    subscription_id: Id | None = None
    subscriber_id: Id | None = None
    program_id: Id | None = None
    class_: Annotated[FailureClass, Meta(description="Who is responsible for fixing it.")] | None = msgspec.field(
        name="Class", default=None
    )
    code: Annotated[str, Meta(max_length=50)] | None = None
    signature: (
        Annotated[str, Meta(pattern="^[0-9a-f]{12}$", description="The signature of a group of failures.")] | None
    ) = None
    event_id: Annotated[str, Meta(max_length=100)] | None = None


class DeliveriesQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """The filter of a list of deliveries, and the page."""

    limit: Limit = 100
    cursor: Cursor | None = None


class RequeueQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """The filter of deliveries to requeue, which only some states allow."""

    state: Literal["parked", "retrying", "skipped"] | None = None


class DiscardQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """The filter of deliveries to discard together: those that nothing would send meanwhile."""

    state: Literal["parked", "skipped"] | None = None


class GroupsQuery(DeliveriesQuery, frozen=True, kw_only=True, rename="pascal"):
    """
    The filter of deliveries to group: failed ones are retrying or parked; those that a pause delays are waiting, and
    those whose category has no template are skipped.
    """

    state: Literal["waiting", "retrying", "parked", "skipped"] | None = None


async def read_filter(database: Database, caller: Caller, query: FilterQuery) -> DeliveryFilter:
    """
    The filter of *query*, limited to the caller's Programs.

    Raises:
        NotAllowed: The query names a Program that the key is not for.
        InvalidFields: The query names something that does not exist.
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
    """Errors for filters that name something unknown: a mistyped filter must not look like an empty list."""
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
