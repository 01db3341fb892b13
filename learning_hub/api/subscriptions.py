"""Subscriptions over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.lists import Cursor, Limit, Listing, Page
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.paths import ID_FORMS, id_faults, id_in_path
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.api.routing import route
from learning_hub.api.saving import save
from learning_hub.model.caller import Caller
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.subscription import SavedSubscription, Subscription, SubscriptionBody
from learning_hub.model.subscription_draft import SubscriptionDraft
from learning_hub.presets import PRESETS
from learning_hub.store import audit, programs, subscriptions
from learning_hub.store.database import Connection

LISTING = Listing("subscriptions", ordered_by="subscription_id")

EXAMPLE_BODY: dict[str, Any] = {
    "Name": "Completions to iMIS",
    "SubscriberId": "imis",
    "ProgramId": "NURSES",
    "PublisherSystemId": None,
    "EventTypes": ["AI_COMP_SUCCESS"],
    "Target": {"Kind": "activity"},
    "Templates": {
        "Online": {
            "ActivityType": "TCLEARNING",
            "Source": "TopClass",
            "Subtype": "{{ data['Activity Code'] | must_have }}",
            "Description": "{{ data['Activity Title'] }}",
            "EffectiveDate": "{{ event.EventEndUtc | imis_datetime }}",
            "Units": "{{ data['Credits'] | default: nil | decimal }}",
        },
        "External Training": None,
    },
    "Schedule": "realtime",
    "StartFrom": "now",
    "State": "started",
}
EXAMPLE: dict[str, Any] = {
    "SubscriptionId": ID_FORMS["SubscriptionId"].example,
    **{name: value for name, value in EXAMPLE_BODY.items() if name not in ("StartFrom", "State")},
    "TimeZone": "UTC",
    "OnWithdraw": "keep",
    "OnReopened": "ignore",
    "State": "started",
    "StartFrom": "now",
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "ChangedUtc": "2026-11-22T08:00:00Z",
    "ArchivedUtc": None,
}


EXAMPLE_SAVED = EXAMPLE | {"Warnings": []}
NO_SUCH_SUBSCRIPTION = NotFound(f"There is no subscription {ID_FORMS['SubscriptionId'].example}.")
NEEDED = ("Name", "SubscriberId", "ProgramId", "EventTypes", "Target", "Templates")
LEFT_OUT = InvalidFields([FieldError(field, "is required") for field in NEEDED])
FIXED = Conflict(
    "ProgramId of a subscription cannot be changed: what it has sent belongs to them. Make another subscription.",
    code="subscription_fixed",
)


class SubscriptionsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which subscriptions."""

    program_id: Annotated[str, Meta(max_length=25)] | None = None
    subscriber_id: Annotated[str, Meta(max_length=25)] | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@route(
    Operation(
        method="PUT",
        path="/subscriptions/{SubscriptionId}",
        operation_id="putSubscription",
        summary="Make or change a subscription",
        description=(
            "Name, SubscriberId, ProgramId, EventTypes, Target and Templates are needed, unless a Preset gives them. "
            "What else is left out takes its default, also where the subscription had something else; only State and "
            "StartFrom stay as they are. SubscriberId, ProgramId and StartFrom cannot be changed later. Templates are "
            "compiled and held against the target, and iMIS is asked which columns that has now; each error names its "
            "place. What may fail all the same is told in `Warnings`, and so is why iMIS could not be asked just now: "
            "then it is saved without, and another PUT asks again."
        ),
        tag="Setting up",
        scopes=("admin",),
        body=SubscriptionBody,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(
                status=201,
                meaning="It was made, or made anew after it had been archived.",
                body=SavedSubscription,
                example=EXAMPLE_SAVED,
            ),
            Answer(
                status=200,
                meaning="It was there, and is like this now.",
                body=SavedSubscription,
                example=EXAMPLE_SAVED,
            ),
        ),
        errors=(LEFT_OUT, FIXED),
    )
)
async def put_subscription(call: Call) -> Reply:
    draft = SubscriptionDraft(await call.fields(), PRESETS)
    draft.errors += id_faults(call, "SubscriptionId")
    saved = await save(call, call.path["SubscriptionId"], draft)
    return Reply(status=saved.status, body=saved.shown())


@route(
    Operation(
        method="GET",
        path="/subscriptions",
        operation_id="listSubscriptions",
        summary="List subscriptions",
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        query=SubscriptionsQuery,
        answers=(
            Answer(
                status=200,
                meaning="Subscriptions of the key's Programs by id.",
                body=Page[Subscription],
                example={"Items": [EXAMPLE], "NextCursor": None},
            ),
        ),
        errors=(NOT_FOR_PROGRAM,),
    )
)
async def list_subscriptions(call: Call) -> Reply:
    query = call.query(SubscriptionsQuery)
    if query.program_id is not None:
        call.caller.need_program(query.program_id)
        if await programs.find(call.hub.database, query.program_id) is None:
            raise InvalidFields([FieldError("ProgramId", "is not a known Program")])
    found = await subscriptions.page(
        call.hub.database,
        None if call.caller.has_every_program else list(call.caller.programs),
        program_id=query.program_id,
        subscriber_id=query.subscriber_id,
        after=LISTING.after(query.cursor),
        limit=query.limit + 1,
    )
    return Reply(body=LISTING.page(found, query.limit))


@route(
    Operation(
        method="GET",
        path="/subscriptions/{SubscriptionId}",
        operation_id="getSubscription",
        summary="Read a subscription",
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        answers=(Answer(status=200, meaning="The subscription.", body=Subscription, example=EXAMPLE),),
        errors=(NO_SUCH_SUBSCRIPTION,),
    )
)
async def get_subscription(call: Call) -> Reply:
    return Reply(body=await need_subscription(call))


@route(
    Operation(
        method="DELETE",
        path="/subscriptions/{SubscriptionId}",
        operation_id="archiveSubscription",
        summary="Archive a subscription: it gets nothing more, its history stays",
        description="What was not sent yet is discarded. A PUT makes it anew, from where its StartFrom then says.",
        tag="Setting up",
        scopes=("admin",),
        answers=(Answer(status=204, meaning="It is archived, now or before."),),
        errors=(NO_SUCH_SUBSCRIPTION,),
    )
)
async def archive_subscription(call: Call) -> Reply:
    there = await need_subscription(call)
    async with call.hub.database.transaction() as connection:
        await _archive(connection, call.caller, there)
    return Reply(status=204)


async def need_subscription(call: Call) -> Subscription:
    """
    The subscription of the path.

    Raises:
        InvalidFields: The id has not the form of one.
        NotFound: There is none, or it is of a Program that the key is not for: one answer, so that nobody learns
            which there are.
    """
    subscription_id = id_in_path(call, "SubscriptionId")
    there = await subscriptions.find(call.hub.database, subscription_id)
    if there is None or not call.caller.may_use(there.program_id):
        raise NotFound(f"There is no subscription {subscription_id}.")
    return there


async def need_subscription_in_use(call: Call) -> Subscription:
    """The subscription of the path; an archived one counts as none."""
    there = await need_subscription(call)
    if there.archived_utc is not None:
        raise NotFound(f"The subscription {there.subscription_id} is archived.")
    return there


async def archive_all(
    connection: Connection, caller: Caller, *, program_id: str | None = None, subscriber_id: str | None = None
) -> None:
    """Archive the subscriptions of a Program or a subscriber that is archived itself."""
    for there in await subscriptions.in_use(connection, program_id=program_id, subscriber_id=subscriber_id):
        await _archive(connection, caller, there)


async def _archive(connection: Connection, caller: Caller, there: Subscription) -> None:
    await subscriptions.lock(connection, there.subscription_id)
    before = await subscriptions.find(connection, there.subscription_id) or there
    after = await subscriptions.archive(connection, before)
    if before.archived_utc is None:
        await audit.write(
            connection, caller, "archive", "subscription", there.subscription_id, before=before, after=after
        )


ROUTES = (put_subscription, list_subscriptions, get_subscription, archive_subscription)
