"""Messages and times of deliveries that wait, computed when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from learning_hub.model.circuit_breaker import Pause
from learning_hub.model.clock import now
from learning_hub.model.cron import is_cron, ticks
from learning_hub.model.delivery import Delivery
from learning_hub.model.failure import advice_for
from learning_hub.model.ids import read_delivery_id
from learning_hub.model.waiting import Waiting, waiting_message
from learning_hub.store import pauses, waiting
from learning_hub.store.database import Database

D = TypeVar("D", bound=Delivery)


async def with_reasons(database: Database, found: Sequence[D]) -> list[D]:
    """
    The deliveries; each that is waiting says what it waits for, and those of a paused subscriber when they may be sent.

    Two queries serve all of them.
    """
    keys = [key for each in found if each.state == "waiting" and (key := read_delivery_id(each.delivery_id))]
    reasons = await waiting.reasons(database, keys) if keys else {}
    next_runs = _next_runs(reasons.values())
    explained = [
        msgspec.structs.replace(each, message=_message(reasons.get(each.delivery_id), next_runs))
        if each.state == "waiting"
        else each
        for each in found
    ]
    subscriber_ids = {each.subscriber_id for each in found if _is_due(each)}
    paused = await pauses.of(database, subscriber_ids) if subscriber_ids else {}
    return [
        _paused(each, paused[each.subscriber_id]) if _is_due(each) and each.subscriber_id in paused else each
        for each in explained
    ]


def _message(reason: Waiting | None, next_runs: Mapping[str, datetime | None]) -> str:
    if reason is None:
        # A worker has taken it since it was read.
        return "The delivery waits for its turn: no delivery is before it at the subscriber."
    return waiting_message(reason, next_runs)


def _next_runs(reasons: Iterable[Waiting]) -> dict[str, datetime | None]:
    """The next time of each subscription among *reasons* that has a cron expression, by subscription."""
    scheduled = {each.subscription_id: each for each in reasons if not each.is_free and is_cron(each.schedule)}
    return {
        subscription_id: next(ticks(each.schedule, each.time_zone, now()), None)
        for subscription_id, each in scheduled.items()
    }


def _is_due(delivery: Delivery) -> bool:
    return delivery.state in ("waiting", "retrying") and delivery.next_try_utc is not None


def _paused(delivery: D, pause: Pause) -> D:
    due_utc, probe_utc = delivery.next_try_utc, pause.next_probe_utc
    at = msgspec.structs.replace(delivery, next_try_utc=max(due_utc, probe_utc) if due_utc and probe_utc else None)
    if delivery.state == "retrying":
        # A retrying delivery has a reason of its own.
        return at
    return msgspec.structs.replace(
        at,
        message=f"The subscriber is paused; the delivery waits without using up an attempt. {pause.message}",
        advice=advice_for(pause.code),
    )
