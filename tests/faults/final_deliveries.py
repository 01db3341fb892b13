"""The deliveries of a story in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from faults.story import Source
from running import eventually

OPEN_STATES = ("waiting", "sending", "retrying")


class Deliveries(list[dict[str, Any]]):
    """Many deliveries that show themselves in a few words."""

    def __repr__(self) -> str:
        counts = Counter((one["State"], one["Code"], one["Message"]) for one in self)
        repeated = sum(one["Attempts"] > 1 for one in self)
        return f"{len(self)} deliveries, {repeated} of them tried more than once: {counts.most_common(20)}"


async def finished(
    client: httpx.AsyncClient, story: Sequence[Source], subscriptions: Collection[str], *, seconds: float
) -> Deliveries:
    """All deliveries, once every event has one to each subscription, and none is under way any more."""
    events = {event_id for source in story for event_id in source.event_ids}

    async def look() -> Deliveries:
        still_open = [one for state in OPEN_STATES for one in await deliveries_of(client, State=state)]
        return Deliveries(still_open) if still_open else await deliveries_of(client)

    def is_whole(found: Deliveries) -> bool:
        sends = Counter(one["EventId"] for one in found if one["Action"] == "send")
        return sends == dict.fromkeys(events, len(subscriptions)) and not any(
            one["State"] in OPEN_STATES for one in found
        )

    found = await eventually(look, until=is_whole, seconds=seconds)
    assert isinstance(found, Deliveries)
    return found


async def deliveries_of(client: httpx.AsyncClient, **filters: str) -> Deliveries:
    found, cursor = Deliveries(), ""
    while True:
        more = {"Cursor": cursor} if cursor else {}
        answer = await client.get("/deliveries", params={"Limit": "1000", **filters, **more})
        assert answer.status_code == 200, answer.text
        found += answer.json()["Items"]
        cursor = answer.json()["NextCursor"]
        if not cursor:
            return found


async def confirm_all(client: httpx.AsyncClient, subscription_id: str) -> dict[str, Any]:
    """What reconciliation of a subscription finds; it confirms what is there as it was sent."""
    moment = datetime.now(UTC)
    body = {name: f"{moment + timedelta(days=days):%FT%TZ}" for name, days in (("FromUtc", -1), ("ToUtc", 1))}
    answer = await client.post(f"/subscriptions/{subscription_id}/reconcile", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def newest_first(deliveries: Sequence[dict[str, Any]], source: Source, subscription_id: str) -> Deliveries:
    """The deliveries of a source record to a subscription; the removal of an event comes before its sending."""
    places = {event_id: place for place, event_id in enumerate(source.event_ids)}
    own = [one for one in deliveries if one["EventId"] in places and one["SubscriptionId"] == subscription_id]
    return Deliveries(sorted(own, key=lambda one: (places[one["EventId"]], one["Action"] == "remove"), reverse=True))
