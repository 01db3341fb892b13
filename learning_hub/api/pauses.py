"""What a paused subscriber means for its deliveries, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.delivery import Delivery
from learning_hub.model.failure import advice_for
from learning_hub.store import pauses
from learning_hub.store.database import Database

D = TypeVar("D", bound=Delivery)


async def explained(database: Database, found: Sequence[D]) -> list[D]:
    """The deliveries; those whose subscriber is paused say when they may go out, and those that wait for it say so."""
    held_up = {one.subscriber_id for one in found if _may_go(one)}
    there = await pauses.of(database, held_up) if held_up else {}
    return [
        _explained(one, there[one.subscriber_id]) if _may_go(one) and one.subscriber_id in there else one
        for one in found
    ]


def _may_go(delivery: Delivery) -> bool:
    return delivery.state in ("waiting", "retrying") and delivery.next_try_utc is not None


def _explained(delivery: D, pause: Pause) -> D:
    due_utc, probe_utc = delivery.next_try_utc, pause.next_probe_utc
    at = msgspec.structs.replace(delivery, next_try_utc=max(due_utc, probe_utc) if due_utc and probe_utc else None)
    if delivery.state == "retrying":
        # It has a reason of its own.
        return at
    return msgspec.structs.replace(
        at,
        message=f"The subscriber is paused, and this waits without using up a try. {pause.message}",
        advice=advice_for(pause.code),
    )
