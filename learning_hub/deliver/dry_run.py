"""A dry run: what a run would do, with nothing stored and nothing sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from learning_hub.deliver.preview import Preview, Previewer
from learning_hub.model.event import Event
from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import EventKey
from learning_hub.model.matching import Entry, match
from learning_hub.model.run import Counts
from learning_hub.model.subscription import Subscription
from learning_hub.store import enqueue, events
from learning_hub.store.database import Database

MOST_PREVIEWS = 100
# Rendered side by side; each needs a database connection now and then.
AT_ONCE = 8


class DryRun:
    """Goes through a run's events and renders each for each subscription."""

    def __init__(self, database: Database, previewer: Previewer) -> None:
        self._database = database
        self._previewer = previewer
        self._states: Counter[str] = Counter()
        self.previews: list[dict[str, Any]] = []

    async def perform(
        self, entries: AsyncIterator[list[Entry]], subscriptions: list[Subscription], *, replay: bool
    ) -> Counts:
        """What would become of *entries*: `waiting` would be sent, `parked` has a template error or is parked."""
        async for some in entries:
            for subscription in subscriptions:
                matched = [
                    entry
                    for entry in some
                    if (found := match(subscription, entry)) and found.effect in ("send", "skip")
                ]
                fresh = await self._fresh(subscription, matched, replay=replay)
                for at in range(0, len(fresh), AT_ONCE):
                    await self._rehearse(subscription, fresh[at : at + AT_ONCE])
        return Counts(matched=self._states.total(), **self._states)

    async def _fresh(self, subscription: Subscription, matched: list[Entry], *, replay: bool) -> list[Entry]:
        """Those that would be rendered; the others are counted as a run would leave them."""
        uuids = [entry.event_uuid for entry in matched]
        async with self._database.connection() as connection:
            before = await enqueue.delivered_before(connection, subscription, subscription.program_id, uuids)
            standing = await enqueue.standing(connection, subscription, subscription.program_id, uuids)
        newest = {_source(entry): entry.event_uuid for entry in matched}
        fresh = []
        for entry in matched:
            state, code = standing.get(entry.event_uuid, (None, None))
            if entry.event_uuid in before and not replay:
                self._states["unchanged"] += 1
            elif entry.event_uuid not in before and _stays(state, code):
                self._states[state or "waiting"] += 1
            elif newest[_source(entry)] != entry.event_uuid:
                self._states["superseded"] += 1
            else:
                fresh.append(entry)
        return fresh

    async def _rehearse(self, subscription: Subscription, entries: list[Entry]) -> None:
        """Renders some side by side, as the worker does, and counts them in their order."""
        for event, preview in await asyncio.gather(*(self._preview(subscription, entry) for entry in entries)):
            self._count(subscription, event, preview)

    async def _preview(self, subscription: Subscription, entry: Entry) -> tuple[Event | None, Preview | None]:
        event = await events.find_event(self._database, EventKey(entry.program_id, entry.event_uuid))
        if event is None or event.withdrawn_utc:
            return event, None
        return event, await self._previewer.preview(subscription, event)

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


def _source(entry: Entry) -> tuple[str, str, str]:
    return entry.publisher_system_id, entry.publisher_event_id, entry.event_type


def _stays(state: str | None, code: str | None) -> bool:
    """Whether a run leaves a delivery where it is; one that was skipped for want of a template is looked at again."""
    if state == "skipped":
        return code not in ("no_template", "category_off")
    return state in ("retrying", "parked", "superseded", "discarded")
