"""What a subscription that is to be saved is compared with: its Program, its subscriber, the target, the templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning_hub.connectors.kinds import KINDS
from learning_hub.deliver.discovery import TargetDiscovery
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError
from learning_hub.model.json_values import write_json
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.model.subscription_draft import SubscriptionDraft
from learning_hub.rendering import Renderer
from learning_hub.services.preview_limit import PreviewLimit
from learning_hub.services.programs import open_program_errors
from learning_hub.services.template_checks import check_templates, template_field
from learning_hub.store import subscribers, subscriptions
from learning_hub.store.database import Database


class SubscriptionChecks:
    """Checks drafts of subscriptions."""

    def __init__(
        self, database: Database, renderer: Renderer, preview_limit: PreviewLimit, discovery: TargetDiscovery
    ) -> None:
        self._database = database
        self._renderer = renderer
        self._preview_limit = preview_limit
        self._discovery = discovery

    async def check(self, caller: Caller, subscription_id: str, draft: SubscriptionDraft) -> list[str]:
        """
        Compare a draft with what exists: the Program, the subscriber and its connector, the target, the templates.

        Errors are added to the draft.

        Returns:
            What may fail, as sentences.
        """
        bad = {error.field.partition("[")[0].partition(".")[0] for error in draft.errors}
        if "ProgramId" not in bad:
            draft.errors += await open_program_errors(self._database, draft.values["program_id"])
        subscriber = None if "SubscriberId" in bad else await self._check_subscriber(draft)
        if subscriber:
            _check_removals(draft, subscriber.connector)
        target = None if "Target" in bad or subscriber is None else _check_target(draft, subscriber)
        return await self._check_templates(caller, subscription_id, draft, subscriber, target)

    async def _check_subscriber(self, draft: SubscriptionDraft) -> Subscriber | None:
        subscriber = await subscribers.find(self._database, draft.values["subscriber_id"])
        if subscriber is None:
            draft.refuse("SubscriberId", "is not a known subscriber")
            return None
        if subscriber.archived_utc is not None:
            draft.refuse("SubscriberId", "is archived")
        if draft.preset and draft.preset.connector != subscriber.connector:
            draft.refuse(
                "Preset", f"is for subscribers of the kind {draft.preset.connector}, not {subscriber.connector}"
            )
        return subscriber

    async def _check_templates(
        self,
        caller: Caller,
        subscription_id: str,
        draft: SubscriptionDraft,
        subscriber: Subscriber | None,
        target: Mapping[str, Any] | None,
    ) -> list[str]:
        """Compile the templates, and compare them with the present fields of the subscriber's target."""
        # A template of the wrong form must not hide the errors of the others.
        templates = draft.valid_templates
        if not templates:
            return []
        with self._preview_limit.hold(caller.key_id):
            checked = await check_templates(self._renderer, subscriber, target, templates, key_id=caller.key_id)
        draft.errors += checked.errors
        if subscriber is None or target is None or subscriber.archived_utc is not None:
            return []
        existing = await subscriptions.find(self._database, subscription_id)
        stays_stopped = existing is not None and _stays_stopped(draft, existing)
        if stays_stopped and existing is not None and existing.state == "started":
            return []
        validation = await self._discovery.validate_templates(subscriber, target, templates, checked.leaves)
        problems = [FieldError(template_field(problem.place), problem.message) for problem in validation.problems]
        unfit = [*validation.target_errors, *problems]
        if stays_stopped:
            return [*(f"{error.field}: {error.message}" for error in unfit), *validation.warnings]
        draft.errors += unfit
        return validation.warnings


def _stays_stopped(draft: SubscriptionDraft, existing: Subscription) -> bool:
    """
    Whether the PUT only stops the subscription, or leaves it stopped as it is.

    Stopping must always work, and must not wait for the subscriber. A subscription that stays stopped is nevertheless
    compared with the subscriber, since that is how an administrator checks again; nothing is refused for it.
    """
    return (
        existing.archived_utc is None
        and draft.values.get("state", existing.state) == "stopped"
        and "templates" in draft.values
        and write_json(draft.values["target"]) == write_json(existing.target)
        and write_json(draft.values["templates"]) == write_json(existing.templates)
    )


def _check_removals(draft: SubscriptionDraft, connector: str) -> None:
    """Refuse to have records removed at a subscriber that cannot remove them."""
    for field, name in (("OnWithdraw", "on_withdraw"), ("OnReopened", "on_reopened")):
        if draft.values.get(name) == "remove" and not KINDS[connector].can_remove:
            draft.refuse(field, f"must not be remove: a subscriber of the kind {connector} cannot remove records")


def _check_target(draft: SubscriptionDraft, subscriber: Subscriber) -> dict[str, Any] | None:
    """The target; None if it is invalid for the subscriber's kind."""
    target: dict[str, Any] | None = draft.values.get("target")
    if target is None:
        return None
    errors = KINDS[subscriber.connector].check_target(target)
    draft.errors += errors
    return None if errors else target
