"""From what entries mean for a subscription to rows of the delivery table."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from learning_hub.model.failure import CAUSES
from learning_hub.model.ids import new_uuid
from learning_hub.model.matching import Match
from learning_hub.model.subscription import Subscription
from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("enqueue")


async def enqueue(
    connection: Connection, subscription: Subscription, matches: Sequence[Match], *, as_replays: bool = False
) -> int:
    """
    Make the deliveries that *matches* mean, in feed order, and settle what they overtake.

    An event has one delivery for a subscription, however often it is gathered; a replay is a new one. Runs in the
    caller's transaction.

    Returns:
        How many deliveries are new.
    """
    made = 0
    sends = [item for item in matches if item.effect in ("send", "skip")]
    if sends:
        made += await _insert(connection, subscription, sends, "send", as_replays=as_replays)
        await _supersede(connection, subscription, sends)
    await _skip_taken_back(connection, subscription, matches)
    # After what is not sent any more has been skipped: what was being claimed at that moment counts as sent by now.
    wanted = {"withdraw", "take_back"} if subscription.on_withdraw == "remove" else {"take_back"}
    if backs := [item for item in matches if item.effect in wanted]:
        made += await _insert(
            connection, subscription, await _that_were_sent(connection, subscription, backs), "remove"
        )
    return made


async def _skip_taken_back(connection: Connection, subscription: Subscription, matches: Sequence[Match]) -> None:
    """What was withdrawn or reopened before it was sent is not sent; nor is a removal whose reopening was withdrawn."""
    reopenings = [item.entry for item in matches if item.effect == "take_back"]
    if reopenings:
        await connection.execute(
            queries.skip_reopened,
            subscription.subscription_id,
            [entry.program_id for entry in reopenings],
            [entry.publisher_event_id for entry in reopenings],
            [entry.publisher_system_id for entry in reopenings],
            [entry.seq for entry in reopenings],
            CAUSES["reopened"].meaning,
        )
    for effect, action in (("withdraw", "send"), ("keep", "remove")):
        withdrawn = [item.entry for item in matches if item.effect == effect]
        if withdrawn:
            await connection.execute(
                queries.skip_withdrawn,
                subscription.subscription_id,
                [entry.program_id for entry in withdrawn],
                [entry.event_uuid for entry in withdrawn],
                CAUSES["withdrawn"].meaning,
                action,
            )


async def skip_already_withdrawn(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> None:
    """Events that were named, and are withdrawn by now, are not sent."""
    await connection.execute(
        queries.skip_already_withdrawn,
        subscription.subscription_id,
        program_id,
        list(uuids),
        CAUSES["withdrawn"].meaning,
    )


async def standing(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> dict[UUID, tuple[str, str | None]]:
    """State and code of these events' deliveries to the subscription; those that have none are left out."""
    rows = await connection.fetch(queries.standing, subscription.subscription_id, program_id, list(uuids))
    return {row["event_uuid"]: (row["state"], row["code"]) for row in rows}


async def delivered_before(
    connection: Connection, subscription: Subscription, program_id: str, uuids: Sequence[UUID]
) -> set[UUID]:
    """Which of these events were delivered to the subscription at some time."""
    rows = await connection.fetch(queries.delivered_before, subscription.subscription_id, program_id, list(uuids))
    return {row["event_uuid"] for row in rows}


async def _insert(
    connection: Connection,
    subscription: Subscription,
    matches: Sequence[Match],
    action: str,
    *,
    as_replays: bool = False,
) -> int:
    if not matches:
        return 0
    entries = [item.entry for item in matches]
    rows = await connection.fetch(
        queries.insert_deliveries,
        subscription.subscription_id,
        subscription.subscriber_id,
        [entry.program_id for entry in entries],
        [new_uuid() for _ in entries],
        [entry.event_uuid for entry in entries],
        [entry.seq for entry in entries],
        [entry.publisher_system_id for entry in entries],
        [entry.publisher_event_id for entry in entries],
        [entry.event_type for entry in entries],
        [action] * len(entries),
        ["skipped" if item.effect == "skip" else "waiting" for item in matches],
        [item.code for item in matches],
        [CAUSES[item.code].meaning if item.code else None for item in matches],
        not subscription.is_realtime,
        as_replays,
    )
    return len(rows)


async def _supersede(connection: Connection, subscription: Subscription, matches: Sequence[Match]) -> None:
    records = {
        (item.entry.program_id, item.entry.publisher_event_id, item.entry.publisher_system_id) for item in matches
    }
    programs, event_ids, systems = zip(*sorted(records), strict=True)
    await connection.execute(
        queries.supersede,
        subscription.subscription_id,
        list(programs),
        list(event_ids),
        list(systems),
        CAUSES["superseded"].meaning,
    )


async def _that_were_sent(connection: Connection, subscription: Subscription, matches: Sequence[Match]) -> list[Match]:
    """Those whose source may have a record at the subscriber; a reopening concerns any type of its source record."""
    rows = await connection.fetch(
        queries.was_sent,
        subscription.subscription_id,
        [item.entry.program_id for item in matches],
        [item.entry.publisher_event_id for item in matches],
        [item.entry.publisher_system_id for item in matches],
        [item.entry.event_type if item.effect == "withdraw" else None for item in matches],
        [item.entry.seq for item in matches],
    )
    return [matches[row["asked"] - 1] for row in rows]
