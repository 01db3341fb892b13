"""Every subscription is a reader of its Program's feed: taking the next entries and making their deliveries."""

from __future__ import annotations

import asyncio
import logging

from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.matching import match
from learning_hub.store import checkpoints, enqueue, subscriptions
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 500
LOOK_EVERY_SECONDS = 1.0
# While events are published without a pause, a look at every commit would be most of the work.
LOOKS_APART_SECONDS = 0.02
# After a ring an entry may still be hidden behind an older open transaction: look again soon, then ever less often.
LOOK_AGAIN_SECONDS = (0.02, 0.1, 0.3)


class Enqueuer:
    """Keeps every subscription's place at the end of what is visible of its feed."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def run(self) -> None:
        """Read on whenever something is committed, until cancelled."""
        looks = 0
        while True:
            seen = self._notifications.feed.count
            try:
                if await self.catch_up():
                    looks = 0
            except LearningHubError as error:
                if not isinstance(error, Unavailable):
                    log.exception("enqueue_failed")
            except Exception:
                log.exception("enqueue_failed")
            await asyncio.sleep(LOOKS_APART_SECONDS)
            wait = LOOK_AGAIN_SECONDS[looks] if looks < len(LOOK_AGAIN_SECONDS) else LOOK_EVERY_SECONDS
            await self._notifications.feed.wait(wait, seen)
            looks = 0 if self._notifications.feed.count != seen else looks + 1

    async def catch_up(self) -> int:
        """Read on for every subscription that is behind; returns how many deliveries were made."""
        made = 0
        for subscription_id in await checkpoints.behind(self._database):
            made += await self.read_on(subscription_id)
        return made

    async def read_on(self, subscription_id: str, *, wait: bool = False) -> int:
        """
        Make the deliveries of everything since the subscription's place.

        Taking entries, making their deliveries and moving the place is one transaction, so that each entry is
        enqueued exactly once, whatever is killed when.

        Args:
            subscription_id: Whose place to move.
            wait: Wait for another process that is at it, instead of leaving it to that one.

        Returns:
            How many deliveries were made.
        """
        made = 0
        is_end = False
        while not is_end:
            made_now, is_end = await self._take_and_make(subscription_id, wait=wait)
            made += made_now
            if made_now:
                self._notifications.notify(self._notifications.deliveries)
            await asyncio.sleep(0)
        return made

    async def _take_and_make(self, subscription_id: str, *, wait: bool) -> tuple[int, bool]:
        async with self._database.transaction() as connection:
            place = await checkpoints.lock_checkpoint(connection, subscription_id, wait=wait)
            subscription = await subscriptions.find(connection, subscription_id)
            if place is None or subscription is None or subscription.archived_utc:
                return 0, True
            taken = await checkpoints.take_next(connection, subscription_id, place, ENTRIES_AT_ONCE)
            matches = [found for entry in taken.entries if (found := match(subscription, entry))]
            made = await enqueue.enqueue(connection, subscription, matches)
            if taken.reached != place:
                await checkpoints.move_checkpoint(connection, subscription_id, taken.reached)
            return made, taken.is_end

    async def read_ahead(self, subscription_id: str) -> None:
        """
        Make the deliveries of what is committed, and not visible in the feed yet because an older transaction is open.

        The place stays: what becomes visible before these entries must not be stepped over. Reading on comes to them
        again, and finds their deliveries made.
        """
        async with self._database.transaction() as connection:
            place = await checkpoints.lock_checkpoint(connection, subscription_id, wait=True)
            subscription = await subscriptions.find(connection, subscription_id)
            is_end = place is None or subscription is None or subscription.archived_utc is not None
            while place is not None and subscription is not None and not is_end:
                taken = await checkpoints.take_ahead(connection, subscription_id, place, ENTRIES_AT_ONCE)
                matches = [found for entry in taken.entries if (found := match(subscription, entry))]
                await enqueue.enqueue(connection, subscription, matches)
                place, is_end = taken.reached, taken.is_end
