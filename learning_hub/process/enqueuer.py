"""The enqueuer: reads the feed for every subscription and makes the deliveries of new entries."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.matching import Match, match
from learning_hub.model.recent_keys import RecentKeys
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import no_template_message
from learning_hub.store import checkpoints, enqueue, subscriptions
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 500
POLL_SECONDS = 1.0
# The least seconds between two polls. Under continuous publishing, a poll for each commit would be most of the work.
LEAST_SECONDS_APART = 0.02
# Waits between polls after a notification, as an entry may still be hidden behind an older open transaction.
POLL_AGAIN_SECONDS = (0.02, 0.1, 0.3)
# How many categories without a template are remembered, so that each is logged once.
MOST_LOGGED = 10_000


class Enqueuer:
    """Keeps the checkpoint of every subscription at the end of the visible feed."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications
        self._logged = RecentKeys(MOST_LOGGED)

    async def run(self) -> None:
        """Read on for all subscriptions whenever an entry is committed, until cancelled."""
        polls = 0
        while True:
            seen = self._notifications.feed.count
            try:
                if await self.catch_up():
                    polls = 0
            except LearningHubError as error:
                if not isinstance(error, Unavailable):
                    log.exception("enqueue_failed")
            except Exception:
                log.exception("enqueue_failed")
            await asyncio.sleep(LEAST_SECONDS_APART)
            wait = POLL_AGAIN_SECONDS[polls] if polls < len(POLL_AGAIN_SECONDS) else POLL_SECONDS
            await self._notifications.feed.wait(wait, seen)
            polls = 0 if self._notifications.feed.count != seen else polls + 1

    async def catch_up(self) -> int:
        """Read on for every subscription that is behind; returns how many deliveries were made."""
        made = 0
        for subscription_id in await checkpoints.behind(self._database):
            made += await self.read_on(subscription_id)
        return made

    async def read_on(self, subscription_id: str, *, wait: bool = False) -> int:
        """
        Make the deliveries of all visible entries after the subscription's checkpoint.

        Reading entries, making their deliveries and moving the checkpoint is one transaction, so that each entry is
        enqueued exactly once, whichever process is killed at whatever time.

        Args:
            subscription_id: The subscription.
            wait: Wait for another process that reads for the subscription, instead of leaving the entries to that
                process.

        Returns:
            How many deliveries were made.
        """
        made = 0
        is_end = False
        while not is_end:
            made_now, is_end = await self._enqueue_next(subscription_id, wait=wait)
            made += made_now
            if made_now:
                self._notifications.notify(self._notifications.deliveries)
            await asyncio.sleep(0)
        return made

    async def _enqueue_next(self, subscription_id: str, *, wait: bool) -> tuple[int, bool]:
        """Enqueue up to 500 entries; returns how many deliveries were made, and whether the feed is at its end."""
        async with self._database.transaction() as connection:
            checkpoint = await checkpoints.lock_checkpoint(connection, subscription_id, wait=wait)
            subscription = await subscriptions.find(connection, subscription_id)
            if checkpoint is None or subscription is None or subscription.archived_utc:
                return 0, True
            read = await checkpoints.read_next(connection, subscription_id, checkpoint, ENTRIES_AT_ONCE)
            matches = [result for entry in read.entries if (result := match(subscription, entry))]
            made = await enqueue.enqueue(connection, subscription, matches)
            if read.end != checkpoint:
                await checkpoints.move_checkpoint(connection, subscription_id, read.end)
        self.log_no_template(subscription, matches)
        return made, read.is_last

    async def read_ahead(self, subscription_id: str) -> None:
        """
        Make the deliveries of entries that are committed but hidden in the feed behind an older open transaction.

        The checkpoint does not move, because entries that become visible before these must not be skipped. `read_on`
        later reads these entries again and finds their deliveries made.
        """
        async with self._database.transaction() as connection:
            position = await checkpoints.lock_checkpoint(connection, subscription_id, wait=True)
            subscription = await subscriptions.find(connection, subscription_id)
            is_last = position is None or subscription is None or subscription.archived_utc is not None
            while position is not None and subscription is not None and not is_last:
                read = await checkpoints.read_ahead(connection, subscription_id, position, ENTRIES_AT_ONCE)
                matches = [result for entry in read.entries if (result := match(subscription, entry))]
                await enqueue.enqueue(connection, subscription, matches)
                self.log_no_template(subscription, matches)
                position, is_last = read.end, read.is_last

    def log_no_template(self, subscription: Subscription, matches: Sequence[Match]) -> None:
        """
        Log each category among *matches* that the subscription has no template for.

        A process logs each category of a subscription once, and once more after its templates were changed.
        """
        categories = Counter(match.entry.category for match in matches if match.code == "no_template")
        for category, count in categories.items():
            if self._logged.is_new((subscription.subscription_id, hash(subscription.templates_json), category)):
                log.warning(
                    "no_template",
                    extra={
                        "subscription_id": subscription.subscription_id,
                        "category": category,
                        "deliveries": count,
                        "reason": no_template_message(subscription.templates, category),
                    },
                )
