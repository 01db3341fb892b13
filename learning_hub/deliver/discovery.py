"""Discovery: asking a subscriber for its targets and fields, and whether templates fit them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from learning_hub.connectors.base import Discovering
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Failure, Postponed
from learning_hub.connectors.template_validation import TemplateValidation
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.connections import Connections
from learning_hub.model.errors import LearningHubError
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.template import Leaf
from learning_hub.store import pauses
from learning_hub.store.database import Database

# A person who saves a subscription waits so long.
VALIDATION_SECONDS = 5.0

T = TypeVar("T")


class TargetDiscovery:
    """Asks subscribers whose connector is `Discovering`."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def ask(
        self, subscriber: Subscriber, question: Callable[[Discovering], Awaitable[T | Failure]], *, seconds: float
    ) -> T | Failure:
        """
        What the subscriber answers within *seconds*, or why it does not.

        Raises:
            LearningHubError: The credentials cannot be decrypted with the hub's keys.
        """
        try:
            async with (
                asyncio.timeout(seconds),
                self._connections.of(subscriber.subscriber_id, subscriber) as (_, connector),
            ):
                return await question(cast("Discovering", connector))
        except TimeoutError:
            message = f"The subscriber did not answer within {seconds:g} seconds."
            return Postponed(code="timed_out", message=message, subscriber_is_away=True)

    async def validate_templates(
        self, subscriber: Subscriber, target: Mapping[str, Any], templates: Mapping[str, Any], leaves: Sequence[Leaf]
    ) -> TemplateValidation:
        """
        What is wrong with the *templates* of a subscription, compared with the subscriber's present fields.

        A subscriber that is paused is not asked. Where it is not asked or does not answer, the result is a warning.

        Args:
            subscriber: Not archived.
            target: Valid by `Kind.check_target`.
            templates: By category.
            leaves: What is known of the leaves with Liquid.
        """
        if not KINDS[subscriber.connector].can_discover:
            return TemplateValidation()
        pause = await pauses.find(self._database, subscriber.subscriber_id)
        if pause is not None:
            return _not_validated(f"{subscriber.subscriber_id} is paused. {pause.message}")
        documents = {category: template for category, template in templates.items() if isinstance(template, dict)}
        # Long names are shortened, so that several leaves may have the same path; then none of them is known.
        times = Counter(leaf.place for leaf in leaves)
        known = {leaf.place: leaf for leaf in leaves if times[leaf.place] == 1}

        async def question(connector: Discovering) -> TemplateValidation | Failure:
            return await connector.validate_templates(target, documents, known, AttemptRecorder())

        try:
            answer = await self.ask(subscriber, question, seconds=VALIDATION_SECONDS)
        except LearningHubError as error:
            return _not_validated(error.detail)
        if isinstance(answer, TemplateValidation):
            return answer
        return _not_validated(answer.message_with_wait if isinstance(answer, Postponed) else answer.message)


def _not_validated(why: str) -> TemplateValidation:
    message = f"The subscriber could not be asked whether the templates fit: save the subscription again later. {why}"
    return TemplateValidation(warnings=[message])
