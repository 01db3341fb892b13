"""Gathering the deliveries of a run: reading the feed entries of a selection, and making their deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator

from learning_hub.model.feed import BEGINNING
from learning_hub.model.matching import FeedEntry, Match, match
from learning_hub.model.subscription import Subscription
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.process.event_selection import EventSelection
from learning_hub.store import checkpoints, enqueue, runs
from learning_hub.store.database import Connection, Database

ENTRIES_AT_ONCE = 500
MOST_PENDING = 10_000


class Gathering:
    """Gathers deliveries for runs, and feed entries for dry runs."""

    def __init__(self, database: Database, enqueuer: Enqueuer) -> None:
        self._database = database
        self._enqueuer = enqueuer

    async def gather(
        self, run_id: str, selection: EventSelection, subscriptions: list[Subscription], *, replay: bool
    ) -> None:
        """Make the deliveries of *selection* that do not exist yet, and add all of them to the run."""
        if selection.is_pending:
            for subscription in subscriptions:
                await self.gather_pending(run_id, subscription)
        else:
            await self._gather_events(run_id, selection, subscriptions, replay=replay)

    async def gather_pending(self, run_id: str, subscription: Subscription) -> None:
        """Read the feed to its end for *subscription*, and add all its unfinished deliveries to the run."""
        await self._read_to_end(subscription)
        async with self._database.transaction() as connection:
            await runs.add_pending(connection, run_id, subscription.program_id, subscription.subscription_id)

    async def _gather_events(
        self, run_id: str, selection: EventSelection, subscriptions: list[Subscription], *, replay: bool
    ) -> None:
        async for entries in self.entries(selection):
            uuids = list({entry.event_uuid for entry in entries})
            for subscription in subscriptions:
                async with self._database.transaction() as connection:
                    # The lock excludes the enqueuer, which makes the same deliveries from the feed.
                    await checkpoints.lock_checkpoint(connection, subscription.subscription_id, wait=True)
                    matches = await _make_deliveries(connection, subscription, entries, replay=replay)
                    await runs.add_deliveries_of_events(
                        connection,
                        run_id,
                        selection.program_id,
                        subscription.subscription_id,
                        uuids,
                        with_replays=replay,
                    )
                self._enqueuer.log_no_template(subscription, matches)

    async def pending_selection(self, program_id: str, subscriptions: list[Subscription]) -> EventSelection:
        """The events with an unfinished delivery to these subscriptions, by uuid, including the newest of the feed."""
        for subscription in subscriptions:
            await self._read_to_end(subscription)
        ids = [subscription.subscription_id for subscription in subscriptions]
        uuids = await runs.pending_events(self._database, program_id, ids, MOST_PENDING)
        return EventSelection(program_id=program_id, event_uuids=uuids)

    async def entries(self, selection: EventSelection) -> AsyncIterator[list[FeedEntry]]:
        """The feed entries of *selection*, which names a day or events, in feed order, up to 500 at a time."""
        if selection.day is None:
            async with self._database.connection() as connection:
                yield await checkpoints.entries_of_events(connection, selection.program_id, selection.event_uuids or [])
            return
        selected = None if selection.event_uuids is None else set(selection.event_uuids)
        position = BEGINNING
        while True:
            async with self._database.connection() as connection:
                entries, position = await checkpoints.entries_of_bucket(
                    connection, selection.program_id, selection.day, position, ENTRIES_AT_ONCE
                )
            if not entries:
                return
            yield [entry for entry in entries if selected is None or entry.event_uuid in selected]

    async def _read_to_end(self, subscription: Subscription) -> None:
        await self._enqueuer.read_on(subscription.subscription_id, wait=True)
        await self._enqueuer.read_ahead(subscription.subscription_id)


async def _make_deliveries(
    connection: Connection, subscription: Subscription, entries: list[FeedEntry], *, replay: bool
) -> list[Match]:
    """Make the deliveries that the enqueuer would make, without moving the checkpoint; with *replay*, also replays."""
    matches = [result for entry in entries if (result := match(subscription, entry))]
    await enqueue.enqueue(connection, subscription, matches)
    uuids = [item.entry.event_uuid for item in matches]
    if not uuids:
        return matches
    program_id = entries[0].program_id
    if replay:
        before = await enqueue.delivered_before(connection, subscription, program_id, uuids)
        again: list[Match] = [item for item in matches if item.effect == "send" and item.entry.event_uuid in before]
        await enqueue.enqueue(connection, subscription, again, as_replays=True)
    await enqueue.skip_already_withdrawn(connection, subscription, program_id, uuids)
    return matches
