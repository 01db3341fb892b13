"""What a feed entry means for the deliveries of a subscription."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.model.event import REOPENED
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
    sent, and what was is removed where OnWithdraw says so. `remove`: the record of the source is removed, because it
    was reopened. `keep`: that reopening was withdrawn, so what was not removed yet stays.
    """

    effect: Effect
    entry: FeedEntry
    code: str | None = None


def match(subscription: Subscription, entry: FeedEntry) -> Match | None:
    """What *entry* means for *subscription*; None when it does not concern it."""
    if subscription.publisher_system_id not in (None, entry.publisher_system_id):
        return None
    if entry.event_type not in subscription.event_types:
        if entry.event_type not in REOPENED or subscription.on_reopened != "remove":
            return None
        return Match(effect="keep" if entry.is_withdrawal else "remove", entry=entry)
    if entry.is_withdrawal:
        return Match(effect="withdraw", entry=entry)
    code = choose_template(subscription.templates, entry.category).code
    return Match(effect="skip" if code else "send", entry=entry, code=code)
