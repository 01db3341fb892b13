"""Putting deliveries back into the queue over HTTP: one, or all that filters mean."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec

from learning_hub.api.call import Call
from learning_hub.api.deliveries import (
    EXAMPLE,
    NO_SUCH_DELIVERY,
    FilterQuery,
    delivery_key,
    need_delivery,
    wanted_deliveries,
)
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.model.delivery import Delivery
from learning_hub.model.errors import Conflict, FieldError, InvalidFields
from learning_hub.store import audit, deliveries, subscriptions
from learning_hub.store.deliveries import DeliveryFilter

REQUEUED_AT_ONCE = 1000
EXAMPLE_WAITING: dict[str, Any] = EXAMPLE | {
    "State": "waiting",
    "Code": None,
    "Class": None,
    "Message": None,
    "Advice": None,
    "NextTryUtc": "2026-11-22T09:00:00Z",
}


class RequeueQuery(FilterQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are put back; of other states none can be."""

    state: Literal["parked", "retrying", "skipped"] | None = None


class Requeued(msgspec.Struct, frozen=True, rename="pascal"):
    """How many deliveries were put back."""

    requeued: int


def _cannot(why: str) -> Conflict:
    return Conflict(why, code="cannot_requeue")


def _wrong_state(state: str) -> Conflict:
    return _cannot(
        f"It is {state}: only what is parked, retrying, or skipped for its template or a reopening can be put back."
    )


def _archived(subscription_id: str) -> Conflict:
    return _cannot(
        f"Its subscription {subscription_id} is archived and sends nothing more. Bring it back with a PUT and requeue "
        "then, or discard this delivery."
    )


@route(
    Operation(
        method="POST",
        path="/deliveries/requeue",
        operation_id="requeueDeliveries",
        summary="Put all deliveries back into the queue that the filters mean",
        description="Parked ones, retrying ones at once, and those skipped for their template or a reopening. Each is "
        "rendered anew with today's template; one that a newer one has overtaken is superseded instead.",
        tag="Delivering",
        scopes=("process", "staff"),
        query=RequeueQuery,
        answers=(Answer(status=200, meaning="They are back in the queue.", body=Requeued, example={"Requeued": 212}),),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def requeue_deliveries(call: Call) -> Reply:
    query = call.query(RequeueQuery)
    wanted = await wanted_deliveries(call, query)
    if all(value is None for value in msgspec.structs.astuple(query)):
        raise InvalidFields([FieldError("State", "or another filter is needed")])
    requeued, after = 0, None
    while True:
        async with call.hub.database.transaction() as connection:
            changed = await deliveries.requeue(connection, wanted, after=after, limit=REQUEUED_AT_ONCE)
            entries = [audit.Change(one.now.delivery_id, one.before, one.now.standing) for one in changed]
            await audit.write_many(connection, call.caller, "requeue", "delivery", entries)
        requeued += sum(one.now.state == "waiting" for one in changed)
        call.hub.notifications.notify(call.hub.notifications.deliveries)
        if len(changed) < REQUEUED_AT_ONCE:
            return Reply(body=Requeued(requeued))
        after = UUID(changed[-1].now.delivery_id[-36:])


@route(
    Operation(
        method="POST",
        path="/deliveries/{DeliveryId}/requeue",
        operation_id="requeueDelivery",
        summary="Put a delivery back into the queue",
        description="It is rendered anew with today's template. One that a newer one has overtaken is superseded.",
        tag="Delivering",
        scopes=("process", "staff"),
        answers=(Answer(status=200, meaning="The delivery as it is now.", body=Delivery, example=EXAMPLE_WAITING),),
        errors=(NOT_FOR_PROGRAM, NO_SUCH_DELIVERY, _wrong_state("delivered")),
    )
)
async def requeue_delivery(call: Call) -> Reply:
    before = await need_delivery(call)
    key = delivery_key(call)
    async with call.hub.database.transaction() as connection:
        changed = await deliveries.requeue(connection, DeliveryFilter(), only=[key], limit=1)
        if changed:
            await audit.write(
                connection, call.caller, "requeue", "delivery", before.delivery_id, before=before, after=changed[0].now
            )
    if not changed:
        subscription = await subscriptions.find(call.hub.database, before.subscription_id)
        if subscription is not None and subscription.archived_utc is not None:
            raise _archived(before.subscription_id)
        raise _wrong_state(before.state)
    call.hub.notifications.notify(call.hub.notifications.deliveries)
    return Reply(body=changed[0].now)


# The fixed address before the one with an id in its place.
ROUTES = (requeue_deliveries, requeue_delivery)
