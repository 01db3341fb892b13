"""Subscriptions over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.api.lists import Cursor, Limit, Listing, Page
from learning_hub.api.operations import Answer, Call, Operation, Reply, route
from learning_hub.api.paths import ID_FORMS, id_faults, id_in_path
from learning_hub.api.refusals import NOT_FOR_PROGRAM
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.preview import target_problems
from learning_hub.model.access import Caller
from learning_hub.model.audit import Action
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.json_values import write_json
from learning_hub.model.plan import Draft, Plan
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription, SubscriptionBody
from learning_hub.presets import PRESETS
from learning_hub.store import audit, programs, subscribers, subscriptions
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
            "compiled and held against the target; each error names its place."
        ),
        tag="Setting up",
        scopes=("admin",),
        body=SubscriptionBody,
        body_example=EXAMPLE_BODY,
        answers=(
            Answer(
                status=201,
                meaning="It was made, or made anew after it had been archived.",
                body=Subscription,
                example=EXAMPLE,
            ),
            Answer(status=200, meaning="It was there, and is like this now.", body=Subscription, example=EXAMPLE),
        ),
        errors=(LEFT_OUT, FIXED),
    )
)
async def put_subscription(call: Call) -> Reply:
    draft = Draft(await call.fields(), PRESETS)
    draft.errors += id_faults(call, "SubscriptionId")
    return await _put(call, call.path["SubscriptionId"], draft)


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


async def make_subscription(call: Call, subscription_id: str, body: Mapping[str, Any]) -> Reply:
    """
    Put *body* where no subscription is yet, not even an archived one; what is there is left as it is, and answered.

    Raises:
        InvalidFields: The body cannot be one of a subscription.
    """
    draft = Draft({field: Raw(write_json(value)) for field, value in body.items()}, PRESETS)
    return await _put(call, subscription_id, draft, leaves_what_is_there=True)


async def _put(call: Call, subscription_id: str, draft: Draft, *, leaves_what_is_there: bool = False) -> Reply:
    # Templates take too long to be judged while others wait for the lock.
    await _check(call, draft)
    if draft.errors:
        raise InvalidFields(draft.errors)
    async with call.hub.database.transaction() as connection:
        await subscriptions.lock(connection, subscription_id)
        there = await subscriptions.find(connection, subscription_id)
        if there is not None and leaves_what_is_there:
            return Reply(body=there)
        plan = draft.plan(there)
        _need_fit(plan, there)
        reply = await _save(call, connection, subscription_id, plan, there)
    call.hub.bells.ring(call.hub.bells.schedules)
    after: Subscription = reply.body
    if not after.is_realtime:
        await subscriptions.hold_stragglers(call.hub.database, after)
    return reply


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


def _need_fit(plan: Plan, there: Subscription | None) -> None:
    """
    Go on only if the plan can take the place of what is there.

    Raises:
        Conflict: It changes what cannot be changed.
    """
    if there is None:
        return
    fixed = {
        "SubscriberId": (plan.subscriber_id, there.subscriber_id),
        "ProgramId": (plan.program_id, there.program_id),
    }
    if there.archived_utc is None:
        fixed["StartFrom"] = (plan.start_from, there.start_from)
    changed = [field for field, (wanted, had) in fixed.items() if wanted != had]
    if changed:
        raise Conflict(
            f"{' and '.join(changed)} of a subscription cannot be changed: what it has sent belongs to them. "
            "Make another subscription.",
            code="subscription_fixed",
        )


async def _save(
    call: Call, connection: Connection, subscription_id: str, plan: Plan, there: Subscription | None
) -> Reply:
    is_new = there is None or there.archived_utc is not None
    if there and not is_new and plan.describes(there):
        return Reply(body=there)
    after = await subscriptions.put(connection, subscription_id, plan, is_new=is_new)
    bells = call.hub.bells
    was_sending = there and (there.is_realtime or (there.is_scheduled and not after.is_scheduled))
    if was_sending and not after.is_realtime:
        await subscriptions.hold(connection, after)
    if there and after.is_realtime and not there.is_realtime:
        await subscriptions.release(connection, after)
    action: Action = "update" if there else "create"
    await audit.write(connection, call.caller, action, "subscription", subscription_id, before=there, after=after)
    # Heard before the commit it would be in vain, but everybody who hears it looks again a moment later.
    bells.ring(bells.feed)
    bells.ring(bells.deliveries)
    return Reply(status=201 if is_new else 200, body=after)


async def _check(call: Call, draft: Draft) -> None:
    """Hold a draft against what is there: the Program, the subscriber, its connector, and the template language."""
    bad = {error.field.partition("[")[0].partition(".")[0] for error in draft.errors}
    if "ProgramId" not in bad:
        draft.errors += await program_faults(call, draft.values["program_id"])
    subscriber = None if "SubscriberId" in bad else await _check_subscriber(call, draft)
    if subscriber:
        _check_removals(draft, subscriber.connector)
    if subscriber and "target" in draft.values and "Target" not in bad:
        target_errors = KINDS[subscriber.connector].check_target(draft.values["target"])
        draft.errors += target_errors
        bad |= {"Target"} if target_errors else set()
    # A preset that is not there gives neither target nor templates.
    if "Templates" in bad or "templates" not in draft.values:
        return
    templates = draft.values["templates"]
    problems = await call.hub.renderer.check(write_json(templates).decode())
    if subscriber and "target" in draft.values and "Target" not in bad:
        problems += target_problems(subscriber, draft.values["target"], templates)
    for problem in problems:
        draft.refuse(template_field(problem.place), problem.message)


def _check_removals(draft: Draft, connector: str) -> None:
    """Refuse what would have the subscriber take records back where it cannot."""
    for field, name in (("OnWithdraw", "on_withdraw"), ("OnReopened", "on_reopened")):
        if draft.values.get(name) == "remove" and not KINDS[connector].can_remove:
            draft.refuse(field, f"must not be remove: a subscriber of the kind {connector} takes nothing back")


async def program_faults(call: Call, program_id: str) -> list[FieldError]:
    """Why no subscription can be for events of this Program."""
    program = await programs.find(call.hub.database, program_id)
    if program is None:
        return [FieldError("ProgramId", "is not a known Program")]
    return [] if program.archived_utc is None else [FieldError("ProgramId", "is archived")]


async def _check_subscriber(call: Call, draft: Draft) -> Subscriber | None:
    subscriber = await subscribers.find(call.hub.database, draft.values["subscriber_id"])
    if subscriber is None:
        draft.refuse("SubscriberId", "is not a known subscriber")
        return None
    if subscriber.archived_utc is not None:
        draft.refuse("SubscriberId", "is archived")
    if draft.preset and draft.preset.connector != subscriber.connector:
        draft.refuse("Preset", f"is for subscribers of the kind {draft.preset.connector}, not {subscriber.connector}")
    return subscriber


def template_field(place: str) -> str:
    """The field of a template error at *place*."""
    return place if place == "Templates" else f"Templates.{place}"


ROUTES = (put_subscription, list_subscriptions, get_subscription, archive_subscription)
