"""What feed entries mean for a subscription."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from learning_hub.model.ids import new_uuid
from learning_hub.model.matching import FeedEntry, match
from learning_hub.model.subscription import Subscription

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
COMPLETED, REOPENED = "AI_COMP_SUCCESS", "AI_REOPENED"


def an_entry(event_type: str = COMPLETED, **changes: Any) -> FeedEntry:
    values: dict[str, Any] = {
        "is_withdrawal": False,
        "publisher_system_id": "TopClass",
        "category": None,
        **changes,
    }
    return FeedEntry(
        program_id="NURSES", event_uuid=new_uuid(), seq=1, publisher_event_id="AI:1", event_type=event_type, **values
    )


def a_subscription(**changes: Any) -> Subscription:
    values: dict[str, Any] = {
        "templates": {"_default": {}},
        "publisher_system_id": "TopClass",
        "event_types": [COMPLETED],
        "on_withdraw": "keep",
        "on_reopened": "ignore",
        **changes,
    }
    return Subscription(
        subscription_id="s", name="S", subscriber_id="imis", program_id="NURSES", target={},
        schedule="realtime", time_zone="UTC", state="started", start_from="now", created_utc=AT, changed_utc=AT,
        archived_utc=None, **values,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("subscription", "entry", "effect", "removes_record"),
    [
        ({}, an_entry(), "send", False),
        ({"templates": {"ILT": {}}}, an_entry(), "skip", False),
        ({}, an_entry(is_withdrawal=True), "withdraw", False),
        ({"on_withdraw": "remove"}, an_entry(is_withdrawal=True), "withdraw", True),
        ({"on_reopened": "remove"}, an_entry(REOPENED), "remove", True),
        ({"on_reopened": "remove"}, an_entry(REOPENED, is_withdrawal=True), "keep", False),
        ({"on_reopened": "remove", "event_types": [COMPLETED, REOPENED]}, an_entry(REOPENED), "send", False),
    ],
)
def test_an_entry_has_one_effect(
    subscription: dict[str, Any], entry: FeedEntry, effect: str, removes_record: bool
) -> None:
    """OnWithdraw and OnReopened decide whether a withdrawal or a reopening removes the record."""
    found = match(a_subscription(**subscription), entry)
    assert found is not None
    assert (found.entry, found.effect, found.removes_record) == (entry, effect, removes_record)


@pytest.mark.parametrize(
    ("subscription", "entry"),
    [
        ({}, an_entry("AI_STARTED")),
        ({}, an_entry(publisher_system_id="LB")),
        ({}, an_entry(REOPENED)),
        ({"on_reopened": "remove"}, an_entry("AI_STARTED")),
        ({"on_reopened": "remove"}, an_entry(REOPENED, publisher_system_id="LB")),
    ],
)
def test_an_entry_concerns_subscriptions_of_its_system_and_type(subscription: dict[str, Any], entry: FeedEntry) -> None:
    """An entry of another system or event type means nothing, nor does a reopening that removes nothing."""
    assert match(a_subscription(**subscription), entry) is None
