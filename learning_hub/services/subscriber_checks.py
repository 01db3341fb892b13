"""The check of a subscriber: sign in, and compare what its subscriptions need with what the subscriber has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.deliver.connections import Connections
from learning_hub.model.caller import Caller
from learning_hub.model.errors import LearningHubError
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import is_literal
from learning_hub.services.subscribers import need_subscriber_in_use
from learning_hub.store import pauses, subscribers, subscriptions
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.vault import Vault


class SubscriberChecks:
    """Checks subscribers; nothing is written there."""

    def __init__(
        self, database: Database, vault: Vault, connections: Connections, notifications: Notifications
    ) -> None:
        self._database = database
        self._vault = vault
        self._connections = connections
        self._notifications = notifications

    async def check(self, caller: Caller, subscriber_id: str) -> CheckResult:
        """
        Sign in at a subscriber and report the findings.

        If nothing is wrong for any subscription and the subscriber was paused, the pause ends.

        Raises:
            InvalidFields, NotFound: As for `need_subscriber_in_use`.
        """
        await need_subscriber_in_use(self._database, caller, subscriber_id)
        try:
            credentials = await subscribers.credentials(self._database, self._vault, subscriber_id)
        except LearningHubError as error:
            return _without_credentials(error.detail)
        if not credentials:
            return _without_credentials("The subscriber has no credentials to sign in with.")
        in_use = await self._visible_subscriptions(caller, subscriber_id)
        needs = [_needs(subscription) for subscription in in_use]
        # The connector in use, so that what it learns about the credentials and what it renews are not lost.
        async with self._connections.of(subscriber_id) as (_, connector):
            result = _without_stopped(await connector.check(needs), in_use)
        if result.is_open:
            await self._end_pause(subscriber_id)
        return result

    async def _visible_subscriptions(self, caller: Caller, subscriber_id: str) -> list[Subscription]:
        async with self._database.connection() as connection:
            in_use = await subscriptions.in_use(connection, subscriber_id=subscriber_id)
        return [subscription for subscription in in_use if caller.may_use(subscription.program_id)]

    async def _end_pause(self, subscriber_id: str) -> None:
        async with self._database.transaction() as connection:
            await pauses.lift(connection, subscriber_id, credentials_fixed=True)
            # Also without a pause: the connector of any process may remember refused credentials.
            await subscribers.note_check(connection, subscriber_id)
        self._notifications.notify(self._notifications.deliveries)


def _without_credentials(message: str) -> CheckResult:
    return CheckResult.of(Finding(subject="credentials", state="wrong", message=message))


def _without_stopped(result: CheckResult, in_use: list[Subscription]) -> CheckResult:
    """The result in which a fault of stopped subscriptions alone is only a warning, since they send nothing yet."""
    stopped = {subscription.subscription_id for subscription in in_use if subscription.state == "stopped"}
    return CheckResult.of(
        *(_for_stopped(finding) if _concerns_only(finding, stopped) else finding for finding in result.details)
    )


def _concerns_only(finding: Finding, stopped: set[str]) -> bool:
    """Whether the finding is wrong for stopped subscriptions, and for no other."""
    return finding.state == "wrong" and bool(finding.subscription_ids) and stopped.issuperset(finding.subscription_ids)


def _for_stopped(finding: Finding) -> Finding:
    names = " and ".join(finding.subscription_ids)
    are = "is" if len(finding.subscription_ids) == 1 else "are"
    only = f"This keeps only {names} from sending, which {are} stopped."
    return msgspec.structs.replace(finding, state="look", advice=f"{finding.advice} {only}".strip())


def _needs(subscription: Subscription) -> Needs:
    templates = [_literals(one) for one in subscription.templates.values() if isinstance(one, dict)]
    return Needs(subscription_id=subscription.subscription_id, target=subscription.target, templates=templates)


def _literals(template: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if is_literal(value) else UNSET for name, value in template.items()}
