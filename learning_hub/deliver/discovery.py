"""What a subscriber tells of itself: where records can land, and whether templates fit what is there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from learning_hub.connectors.base import Postponed, Refused, Unknown
from learning_hub.connectors.discovery import Discovering, TemplateValidation
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.connections import Connections
from learning_hub.model.errors import LearningHubError
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.template import Leaf
from learning_hub.store import pauses
from learning_hub.store.database import Database

# Whoever saves a subscription waits for it.
VALIDATION_SECONDS = 5.0

T = TypeVar("T")
Ended = Postponed | Refused | Unknown


class TargetDiscovery:
    """Asks subscribers of a kind that is `Discovering`."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def ask(
        self, subscriber: Subscriber, question: Callable[[Discovering], Awaitable[T | Ended]], *, seconds: float
    ) -> T | Ended:
        """
        What the subscriber answers within *seconds*, or why it does not.

        Raises:
            LearningHubError: Its credentials cannot be decrypted with the keys the hub has.
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

    async def judge(
        self, subscriber: Subscriber, target: Mapping[str, Any], templates: Mapping[str, Any], leaves: Sequence[Leaf]
    ) -> TemplateValidation:
        """
        What is wrong with the *templates* of a subscription, held against what the subscriber has now.

        Where it cannot be asked just now a warning says so and nothing is judged; one that is paused is not asked.

        Args:
            subscriber: In use.
            target: Found right by `Kind.check_target`.
            templates: By category.
            leaves: What is known of those with Liquid.
        """
        if not KINDS[subscriber.connector].can_describe:
            return TemplateValidation()
        pause = await pauses.find(self._database, subscriber.subscriber_id)
        if pause is not None:
            return _unjudged(f"{subscriber.subscriber_id} is paused. {pause.message}")
        documents = {category: one for category, one in templates.items() if isinstance(one, dict)}
        # Of places that look alike, because long names are shortened, none is known.
        times = Counter(leaf.place for leaf in leaves)
        known = {leaf.place: leaf for leaf in leaves if times[leaf.place] == 1}

        async def question(connector: Discovering) -> TemplateValidation | Ended:
            return await connector.judge(target, documents, known, AttemptRecorder())

        try:
            answer = await self.ask(subscriber, question, seconds=VALIDATION_SECONDS)
        except LearningHubError as error:
            return _unjudged(error.detail)
        if isinstance(answer, TemplateValidation):
            return answer
        return _unjudged(answer.message_with_wait if isinstance(answer, Postponed) else answer.message)


def _unjudged(why: str) -> TemplateValidation:
    message = f"The subscriber could not be asked whether the templates fit: save the subscription again later. {why}"
    return TemplateValidation(warnings=[message])
