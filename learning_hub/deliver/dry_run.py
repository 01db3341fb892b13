"""A dry run: what a run would do, without storing or sending anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from learning_hub.deliver.preview import Previewer
from learning_hub.model.event import Event
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import EventKey
from learning_hub.model.matching import FeedEntry, match
from learning_hub.model.preview import Preview
from learning_hub.model.run import Counts
from learning_hub.model.subscription import Subscription
from learning_hub.store import enqueue, events
from learning_hub.store.database import Database

MOST_PREVIEWS = 100
# Rendered side by side; each rendering needs a database connection now and then.
AT_ONCE = 8


class DryRun:
    """Renders each event of a run for each subscription; *key_id* is the key of the caller who asked for it."""

    def __init__(self, database: Database, previewer: Previewer, *, key_id: str) -> None:
        self._database = database
        self._previewer = previewer
        self._key_id = key_id
        self._states: Counter[str] = Counter()
        self.previews: list[dict[str, Any]] = []

    async def perform(
        self, entries: AsyncIterator[list[FeedEntry]], subscriptions: list[Subscription], *, replay: bool
    ) -> Counts:
        """What would become of *entries*: `waiting` would be sent, `parked` is parked or has a template error."""
        async for batch in entries:
            for subscription in subscriptions:
                matched = [
                    entry
                    for entry in batch
                    if (found := match(subscription, entry)) and found.effect in ("send", "skip")
                ]
                to_render = await self._to_render(subscription, matched, replay=replay)
                for at in range(0, len(to_render), AT_ONCE):
                    await self._render(subscription, to_render[at : at + AT_ONCE])
        return Counts(matched=self._states.total(), **self._states)

    async def _to_render(
        self, subscription: Subscription, matched: list[FeedEntry], *, replay: bool
    ) -> list[FeedEntry]:
        """The entries that a run would render; the others are counted as a run would leave them."""
        uuids = [entry.event_uuid for entry in matched]
        async with self._database.connection() as connection:
            before = await enqueue.delivered_before(connection, subscription, subscription.program_id, uuids)
            left = await enqueue.left_as_they_are(connection, subscription, subscription.program_id, uuids)
            reopened = await enqueue.reopened_since(connection, subscription, matched)
        newest = {_source(entry): entry.event_uuid for entry in matched}
        to_render = []
        for entry in matched:
            uuid = entry.event_uuid
            if uuid in before and not replay:
                self._states["unchanged"] += 1
            elif uuid not in before and uuid in left:
                self._states[left[uuid]] += 1
            elif newest[_source(entry)] != uuid:
                self._states["superseded"] += 1
            elif uuid in reopened:
                self._states["skipped"] += 1
            else:
                to_render.append(entry)
        return to_render

    async def _render(self, subscription: Subscription, entries: list[FeedEntry]) -> None:
        """Render *entries* side by side, as the worker does, and count them in their order."""
        for event, preview in await asyncio.gather(*(self._preview(subscription, entry) for entry in entries)):
            self._count(subscription, event, preview)

    async def _preview(self, subscription: Subscription, entry: FeedEntry) -> tuple[Event | None, Preview | None]:
        event = await events.find_event(self._database, EventKey(entry.program_id, entry.event_uuid))
        if event is None or event.withdrawn_utc:
            return event, None
        return event, await self._previewer.preview(subscription, event, key_id=self._key_id)

    def _count(self, subscription: Subscription, event: Event | None, preview: Preview | None) -> None:
        if event is None or preview is None:
            self._states["skipped"] += 1
            return
        if preview.error is None:
            self._states["waiting"] += 1
        elif CAUSES[preview.error.code].failure_class is None:
            self._states["skipped"] += 1
            return
        else:
            self._states["parked"] += 1
        if len(self.previews) < MOST_PREVIEWS:
            self.previews.append(
                {
                    "EventId": event.event_id,
                    "SubscriptionId": subscription.subscription_id,
                    "Template": preview.template,
                    "Payload": preview.payload,
                    "Error": preview.error,
                }
            )


def _source(entry: FeedEntry) -> tuple[str, str, str]:
    return entry.publisher_system_id, entry.publisher_event_id, entry.event_type
