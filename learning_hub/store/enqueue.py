"""Enqueueing: making deliveries from what feed entries mean for a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from learning_hub.model.matching import FeedEntry, Match
from learning_hub.model.subscription import Subscription
from learning_hub.store import delivery_transitions
from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("enqueue")


async def enqueue(
    connection: Connection, subscription: Subscription, matches: Sequence[Match], *, as_replays: bool = False
) -> int:
    """
    Make the deliveries of *matches*, in feed order, and skip or supersede the deliveries that they make obsolete.

    An event has one delivery for a subscription, however often it is gathered; a replay is a new delivery. Runs in the
    caller's transaction.

    Returns:
        How many deliveries are new.
    """
    made = 0
    if sends := [match for match in matches if match.effect in ("send", "skip")]:
        made += await delivery_transitions.insert(connection, subscription, sends, "send", as_replays=as_replays)
        await delivery_transitions.supersede(connection, subscription.subscription_id, [match.entry for match in sends])
    await _skip_out_of_date(connection, subscription, matches)
    # Removals come after obsolete deliveries were skipped: deliveries claimed meanwhile now count as sent.
    if removals := [match for match in matches if match.removes_record]:
        sent = await _that_were_sent(connection, subscription, removals)
        if sent:
            made += await delivery_transitions.insert(connection, subscription, sent, "remove", as_replays=False)
    return made


async def _skip_out_of_date(connection: Connection, subscription: Subscription, matches: Sequence[Match]) -> None:
    """Skip events that were withdrawn or reopened before they were sent, and removals whose reopening was withdrawn."""
    if reopenings := [match.entry for match in matches if match.effect == "remove"]:
        await delivery_transitions.skip_reopened(connection, subscription.subscription_id, reopenings)
    for effect, action in (("withdraw", "send"), ("keep", "remove")):
        if withdrawn := [match.entry for match in matches if match.effect == effect]:
            await delivery_transitions.skip_withdrawn(connection, subscription.subscription_id, withdrawn, action)


async def skip_already_withdrawn(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> None:
    """Skip the deliveries of named events that are withdrawn by now."""
    await delivery_transitions.skip_already_withdrawn(connection, subscription.subscription_id, program_id, uuids)


async def left_as_they_are(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> dict[UUID, str]:
    """State of each delivery of these events that a run neither takes up again nor sends; others are left out."""
    rows = await connection.fetch(queries.left_as_they_are, subscription.subscription_id, program_id, list(uuids))
    return {row["event_uuid"]: row["state"] for row in rows}


async def reopened_since(connection: Connection, subscription: Subscription, entries: Sequence[FeedEntry]) -> set[UUID]:
    """Those of these events that are not sent because their source record was reopened later."""
    rows = await connection.fetch(
        queries.reopened_since,
        subscription.subscription_id,
        [entry.program_id for entry in entries],
        [entry.event_uuid for entry in entries],
        [entry.publisher_event_id for entry in entries],
        [entry.publisher_system_id for entry in entries],
        [entry.seq for entry in entries],
    )
    return {row["event_uuid"] for row in rows}


async def delivered_before(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> set[UUID]:
    """Those of these events that were ever delivered to the subscription."""
    rows = await connection.fetch(queries.delivered_before, subscription.subscription_id, program_id, list(uuids))
    return {row["event_uuid"] for row in rows}


async def _that_were_sent(connection: Connection, subscription: Subscription, matches: Sequence[Match]) -> list[Match]:
    """Matches whose source may have a record at the subscriber; a reopening concerns all types of its source record."""
    rows = await connection.fetch(
        queries.was_sent,
        subscription.subscription_id,
        [match.entry.program_id for match in matches],
        [match.entry.publisher_event_id for match in matches],
        [match.entry.publisher_system_id for match in matches],
        [match.entry.event_type if match.effect == "withdraw" else None for match in matches],
        [match.entry.seq for match in matches],
    )
    return [matches[row["position"] - 1] for row in rows]
