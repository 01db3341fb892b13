"""Event validation: what publishing an event would do, and what each subscription would send. Nothing is stored."""

from __future__ import annotations

from typing import Any

import msgspec

from learning_hub.deliver.preview import Previewer
from learning_hub.model.caller import Caller
from learning_hub.model.event import WouldBe
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.publisher import Publisher
from learning_hub.services.preview_limit import PreviewLimit
from learning_hub.store import subscriptions
from learning_hub.store.database import Database


class SubscriptionPreview(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What one subscription would send."""

    subscription_id: str
    template: str | None
    payload: Any
    error: Any


class EventValidation:
    """Validates events as publishing would."""

    def __init__(self, database: Database, publisher: Publisher, previewer: Previewer, limit: PreviewLimit) -> None:
        self._database = database
        self._publisher = publisher
        self._previewer = previewer
        self._limit = limit

    async def validate(
        self, caller: Caller, event: ReceivedEvent, idempotency_key: str | None
    ) -> tuple[WouldBe, list[SubscriptionPreview]]:
        """
        The classification of *event* if it were published, and what each subscription that takes it would send.

        Raises:
            NotAllowed, InvalidFields, Conflict: As for `Publisher.submit`.
            TooManyPreviews: As for `PreviewLimit.hold`.
        """
        would_be = await self._publisher.would_be(event, caller, idempotency_key)
        stored = await self._previewer.as_if_published(event)
        previews = []
        for subscription in await subscriptions.of_program(self._database, event.publisher_program_id):
            if subscription.wants(event.publisher_system_id, event.event_type):
                with self._limit.hold(caller.key_id):
                    preview = await self._previewer.preview(subscription, stored, key_id=caller.key_id)
                previews.append(
                    SubscriptionPreview(
                        subscription_id=subscription.subscription_id,
                        template=preview.template,
                        payload=preview.payload,
                        error=preview.error,
                    )
                )
        return would_be, previews
