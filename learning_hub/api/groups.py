"""Failures by like cause over HTTP: what is wrong, how often, and since when."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from learning_hub.api.call import Call
from learning_hub.api.deliveries import EXAMPLE as EXAMPLE_DELIVERY
from learning_hub.api.deliveries import ListQuery, wanted_deliveries
from learning_hub.api.lists import Listing, Page
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.model.failure import CAUSES
from learning_hub.model.failure_group import Group, GroupPosition
from learning_hub.store import failure_groups

LISTING = Listing("groups of deliveries", ordered_by="place")

EXAMPLE: dict[str, Any] = {
    "Kind": "failures",
    "ProgramId": "NURSES",
    "SubscriberId": "imis",
    "SubscriptionId": "nurses-activities",
    "Code": "template_error",
    "Class": "mapping",
    "Message": 'decimal needs a number and got "ten" (at Online.Units)',
    "Advice": CAUSES["template_error"].advice,
    "Signature": "3f1c0a9be7d2",
    "Count": 212,
    "FirstUtc": "2026-11-22T14:03:00Z",
    "LastUtc": "2026-11-22T15:41:07Z",
    "Example": {"DeliveryId": EXAMPLE_DELIVERY["DeliveryId"], "EventId": EXAMPLE_DELIVERY["EventId"]},
}
EXAMPLE_PAUSE = EXAMPLE | {
    "Kind": "pause",
    "SubscriptionId": None,
    "Code": "connection_failed",
    "Class": "unavailable",
    "Message": "The hub could not reach iMIS to sign in.",
    "Advice": CAUSES["connection_failed"].advice,
    "Signature": None,
    "Count": 40,
    "Example": None,
}


class GroupQuery(ListQuery, frozen=True, kw_only=True, rename="pascal"):
    """Which deliveries are grouped: failures are retrying or parked, and waiting is what a pause holds up."""

    state: Literal["waiting", "retrying", "parked"] | None = None


@route(
    Operation(
        method="GET",
        path="/deliveries/groups",
        operation_id="listGroups",
        summary="List failures by like cause",
        description="Of each subscription, deliveries that are retrying or parked with the same code and the same "
        "message, but for what differs from one event to the other. First the hub's own faults, then pauses of "
        "subscribers that last, then the rest; each the largest first. `Signature` is a filter of the list of "
        "deliveries, and of putting them back together.",
        tag="Delivering",
        scopes=("process", "staff"),
        query=GroupQuery,
        answers=(
            Answer(
                status=200,
                meaning="A page of groups.",
                body=Page[Group],
                example={"Items": [EXAMPLE_PAUSE, EXAMPLE], "NextCursor": None},
            ),
        ),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def list_groups(call: Call) -> Reply:
    query = call.query(GroupQuery)
    wanted = await wanted_deliveries(call, query)
    found = await failure_groups.page(
        call.hub.database,
        wanted,
        _read_cursor(query.cursor),
        query.limit + 1,
        pause_seconds=call.hub.settings.pause_alarm_seconds,
    )
    return Reply(body=LISTING.page(found, query.limit))


def _read_cursor(cursor: str | None) -> GroupPosition | None:
    text = LISTING.after(cursor)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=GroupPosition)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise LISTING.foreign() from None


ROUTES = (list_groups,)
