"""A dry run: what a run would do, with nothing stored and nothing sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from learning_hub.deliver.participants import Participants
from learning_hub.deliver.payloads import NotSent, Payloads
from learning_hub.model.errors import TemplateError
from learning_hub.model.ids import EventKey
from learning_hub.model.matching import Entry, match
from learning_hub.model.run import Counts
from learning_hub.model.subscription import Subscription
from learning_hub.store import enqueue, events, subscribers
from learning_hub.store.database import Database

MOST_PREVIEWS = 100


class Rehearsal:
    """Goes through a run's events and renders each for each subscription."""

    def __init__(self, database: Database, participants: Participants, payloads: Payloads) -> None:
        self._database = database
        self._participants = participants
        self._payloads = payloads
        self._states: Counter[str] = Counter()
        self.previews: list[dict[str, Any]] = []

    async def perform(
        self, entries: AsyncIterator[list[Entry]], subscriptions: list[Subscription], *, replay: bool
    ) -> Counts:
        """What would become of *entries*: `waiting` would be sent, `parked` has a template error."""
        async for some in entries:
            for subscription in subscriptions:
                matched = [entry for entry in some if (found := match(subscription, entry)) and found.duty != "withdraw"]
                async with self._database.connection() as connection:
                    before = await enqueue.delivered_before(
                        connection, subscription, subscription.program_id, [entry.event_uuid for entry in matched]
                    )
                for entry in matched:
                    if entry.event_uuid in before and not replay:
                        self._states["unchanged"] += 1
                    else:
                        await self._rehearse(subscription, entry)
        return Counts(matched=self._states.total(), **self._states)

    async def _rehearse(self, subscription: Subscription, entry: Entry) -> None:
        event = await events.find_event(self._database, EventKey(entry.program_id, entry.event_uuid))
        subscriber = await subscribers.find(self._database, subscription.subscriber_id)
        if event is None or subscriber is None or event.withdrawn_utc:
            self._states["skipped"] += 1
            return
        preview: dict[str, Any] = {
            "EventId": event.event_id,
            "SubscriptionId": subscription.subscription_id,
            "Template": None,
            "Payload": None,
            "Error": None,
        }
        try:
            known = await self._participants.remembered(subscriber.subscriber_id, event)
            rendered = await self._payloads.render(subscription, subscriber, event, known)
        except TemplateError as error:
            self._states["parked"] += 1
            preview["Error"] = {"Code": error.code, "Message": error.message, "Place": error.place}
        else:
            if isinstance(rendered, NotSent):
                self._states["skipped"] += 1
                return
            self._states["waiting"] += 1
            preview |= {"Template": rendered.template_name, "Payload": rendered.payload}
        if len(self.previews) < MOST_PREVIEWS:
            self.previews.append(preview)
