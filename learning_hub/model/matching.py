"""Matching: the effect of a feed entry on the deliveries of a subscription."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.model.failure import CAUSES
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import choose_template, no_template_message


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
    The effect of an entry on a subscription.

    `send`: the event is to be sent. `skip`: the event is not sent, and *code* and *message* say why.
    `withdraw`: unsent deliveries of the event are skipped. `remove`: the same, because the source record was reopened.
    `keep`: the reopening was withdrawn, so records that were not removed yet stay.

    *removes_record*: the record that was sent is removed at the subscriber, as OnWithdraw or OnReopened says.
    """

    effect: Effect
    entry: FeedEntry
    code: str | None = None
    message: str | None = None
    removes_record: bool = False


def match(subscription: Subscription, entry: FeedEntry) -> Match | None:
    """The effect of *entry* on *subscription*; None if the entry does not concern it."""
    if subscription.wants(entry.publisher_system_id, entry.event_type):
        if entry.is_withdrawal:
            return Match(effect="withdraw", entry=entry, removes_record=subscription.on_withdraw == "remove")
        code = choose_template(subscription.templates, entry.category).code
        return Match(
            effect="skip" if code else "send",
            entry=entry,
            code=code,
            message=skip_message(code, subscription, entry.category) if code else None,
        )
    if subscription.removes_when_reopened(entry.publisher_system_id, entry.event_type):
        if entry.is_withdrawal:
            return Match(effect="keep", entry=entry)
        return Match(effect="remove", entry=entry, removes_record=True)
    return None


def skip_message(code: str, subscription: Subscription, category: str | None) -> str:
    """Why *subscription* skips an event of *category*, as a sentence for staff; *code* is that of the choice."""
    if code == "no_template":
        return no_template_message(subscription.templates, category)
    return CAUSES[code].meaning
