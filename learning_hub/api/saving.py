"""Saving subscriptions: a draft is held against what is there, and takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from learning_hub.api.call import Call
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.discovery import TargetDiscovery
from learning_hub.deliver.preview import target_problems
from learning_hub.model.audit import Action
from learning_hub.model.errors import Conflict, FieldError, InvalidFields
from learning_hub.model.json_values import write_json
from learning_hub.model.leaf import Leaf
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import SavedSubscription, Subscription
from learning_hub.model.subscription_draft import SubscriptionDraft, SubscriptionSpec
from learning_hub.presets import PRESETS
from learning_hub.store import audit, programs, subscribers, subscriptions
from learning_hub.store.database import Connection


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of saving: the *status* of the answer (201 where it was made), the subscription as it is now.

    *warnings* are sentences about what may fail, or could not be found out.
    """

    status: int
    subscription: Subscription
    warnings: list[str] = []

    def shown(self) -> SavedSubscription:
        return SavedSubscription(**msgspec.structs.asdict(self.subscription), warnings=self.warnings or UNSET)


async def save(
    call: Call, subscription_id: str, draft: SubscriptionDraft, *, leaves_what_is_there: bool = False
) -> Saved:
    """
    Let the draft take the place of what is there, unless *leaves_what_is_there*.

    Raises:
        InvalidFields: With every bad field.
        Conflict: It changes what cannot be changed.
    """
    # Templates take too long to be judged while others wait for the lock, and so do subscribers to answer.
    warnings = await _check(call, subscription_id, draft)
    if draft.errors:
        raise InvalidFields(draft.errors)
    async with call.hub.database.transaction() as connection:
        await subscriptions.lock(connection, subscription_id)
        there = await subscriptions.find(connection, subscription_id)
        if there is not None and leaves_what_is_there:
            return Saved(status=200, subscription=there)
        plan = draft.plan(there)
        _need_fit(plan, there)
        status, after = await _save(call, connection, subscription_id, plan, there)
    call.hub.notifications.notify(call.hub.notifications.schedules)
    if not after.is_realtime:
        await subscriptions.hold_stragglers(call.hub.database, after)
    return Saved(status=status, subscription=after, warnings=warnings)


async def make_subscription(call: Call, subscription_id: str, body: Mapping[str, Any]) -> Saved:
    """
    Put *body* where no subscription is yet, not even an archived one; what is there is left as it is.

    Raises:
        InvalidFields: The body cannot be one of a subscription.
    """
    draft = SubscriptionDraft({field: Raw(write_json(value)) for field, value in body.items()}, PRESETS)
    return await save(call, subscription_id, draft, leaves_what_is_there=True)


def _need_fit(plan: SubscriptionSpec, there: Subscription | None) -> None:
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
    call: Call, connection: Connection, subscription_id: str, plan: SubscriptionSpec, there: Subscription | None
) -> tuple[int, Subscription]:
    """The status of the answer, and the subscription as it is now."""
    is_new = there is None or there.archived_utc is not None
    if there and not is_new and plan.describes(there):
        return 200, there
    after = await subscriptions.put(connection, subscription_id, plan, is_new=is_new)
    notifications = call.hub.notifications
    was_sending = there and (there.is_realtime or (there.is_scheduled and not after.is_scheduled))
    if was_sending and not after.is_realtime:
        await subscriptions.hold(connection, after)
    if there and after.is_realtime and not there.is_realtime:
        await subscriptions.release(connection, after)
    action: Action = "update" if there else "create"
    await audit.write(connection, call.caller, action, "subscription", subscription_id, before=there, after=after)
    # Heard before the commit it would be in vain, but everybody who hears it looks again a moment later.
    notifications.notify(notifications.feed)
    notifications.notify(notifications.deliveries)
    return 201 if is_new else 200, after


async def _check(call: Call, subscription_id: str, draft: SubscriptionDraft) -> list[str]:
    """
    Hold a draft against what is there: the Program, the subscriber, its connector, and the template language.

    Returns:
        What may fail, in words.
    """
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
    # One that is no template must not hide what is wrong with the others.
    templates = draft.judgeable_templates
    if not templates:
        return []
    is_aimed = subscriber is not None and "target" in draft.values and "Target" not in bad
    target = draft.values["target"] if is_aimed else None
    inspected = await inspect_templates(call, subscriber, target, templates)
    draft.errors += inspected.faults
    if subscriber is None or target is None or subscriber.archived_utc is not None:
        return []
    there = await subscriptions.find(call.hub.database, subscription_id)
    rests = there is not None and _rests(draft, there)
    if rests and there is not None and there.state == "started":
        return []
    discovery = TargetDiscovery(call.hub.database, call.hub.connections)
    validation = await discovery.judge(subscriber, target, templates, inspected.leaves)
    problems = [FieldError(template_field(problem.place), problem.message) for problem in validation.problems]
    unfit = [*validation.target_errors, *problems]
    if rests:
        return [*(f"{error.field}: {error.message}" for error in unfit), *validation.warnings]
    draft.errors += unfit
    return validation.warnings


class InspectedTemplates(msgspec.Struct, frozen=True):
    """What the hub sees of templates by itself: what is wrong with them, and what is known of their leaves."""

    faults: list[FieldError]
    leaves: list[Leaf]


async def inspect_templates(
    call: Call, subscriber: Subscriber | None, target: Mapping[str, Any] | None, templates: Mapping[str, Any]
) -> InspectedTemplates:
    """
    What can be said of *templates* without asking the subscriber.

    Args:
        call: Of the request.
        subscriber: Whom they are for; None where that is not known.
        target: Found right by `Kind.check_target`; None where it was not.
        templates: By category, each an object, or null where it is switched off.
    """
    inspected = await call.hub.renderer.inspect(write_json(templates).decode())
    problems = [*inspected.problems]
    if subscriber is not None and target is not None:
        problems += target_problems(subscriber, target, templates)
    faults = [FieldError(template_field(problem.place), problem.message) for problem in problems]
    return InspectedTemplates(faults, inspected.leaves)


def _rests(draft: SubscriptionDraft, there: Subscription) -> bool:
    """
    Whether what is there is only told to stop, or to stay stopped as it is.

    To stop must work whatever the subscriber has become, and nobody waits for it to answer. What stays stopped is held
    against it, since that is how one looks again that could not be asked before; nothing new is there to be refused.
    """
    return (
        there.archived_utc is None
        and draft.values.get("state", there.state) == "stopped"
        and "templates" in draft.values
        and write_json(draft.values["target"]) == write_json(there.target)
        and write_json(draft.values["templates"]) == write_json(there.templates)
    )


def _check_removals(draft: SubscriptionDraft, connector: str) -> None:
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


async def _check_subscriber(call: Call, draft: SubscriptionDraft) -> Subscriber | None:
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
