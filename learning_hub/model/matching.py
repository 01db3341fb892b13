"""What a feed entry means for the deliveries of a subscription."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.model.subscription import Subscription
from learning_hub.model.template import choose_template


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A feed entry without its data: an event, or its withdrawal."""

    program_id: str
    event_uuid: UUID
    is_withdrawal: bool
    seq: int
    publisher_system_id: str
    publisher_event_id: str
    event_type: str
    category: str | None


Effect = Literal["send", "skip", "withdraw", "remove", "keep"]


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an entry means for a subscription.

    `send`: the event is to be sent. `skip`: it is not sent, with *code* why. `withdraw`: what was not sent yet is not
    sent. `remove`: the same, because the source record was reopened. `keep`: that reopening was withdrawn, so what was
    not removed yet stays.

    *removes_record*: what was sent is removed at the subscriber, as OnWithdraw or OnReopened has it.
    """

    effect: Effect
    entry: FeedEntry
    code: str | None = None
    removes_record: bool = False


def match(subscription: Subscription, entry: FeedEntry) -> Match | None:
    """What *entry* means for *subscription*; None when it does not concern it."""
    if subscription.wants(entry.publisher_system_id, entry.event_type):
        if entry.is_withdrawal:
            return Match(effect="withdraw", entry=entry, removes_record=subscription.on_withdraw == "remove")
        code = choose_template(subscription.templates, entry.category).code
        return Match(effect="skip" if code else "send", entry=entry, code=code)
    if subscription.removes_when_reopened(entry.publisher_system_id, entry.event_type):
        if entry.is_withdrawal:
            return Match(effect="keep", entry=entry)
        return Match(effect="remove", entry=entry, removes_record=True)
    return None
