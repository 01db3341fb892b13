"""How many unknown keys an address may send."""

from __future__ import annotations

import pytest

from learning_hub.model.errors import TooManyUnknownKeys
from learning_hub.services import unknown_keys
from learning_hub.services.unknown_keys import MOST_UNKNOWN, UnknownKeys


def test_an_address_is_refused_for_at_most_a_minute() -> None:
    """The minute begins with the first of the hundred, and keys that are refused meanwhile do not prolong it."""
    moment = 1000.0
    keys = UnknownKeys(clock=lambda: moment)
    for _ in range(MOST_UNKNOWN):
        keys.count("192.0.2.1")
    for moment in (1000.0, 1030.0, 1059.0):
        with pytest.raises(TooManyUnknownKeys) as refused:
            keys.count("192.0.2.1")
        assert refused.value.retry_after_seconds == 1060.0 - moment
    keys.count("192.0.2.2")
    moment = 1060.0
    keys.count("192.0.2.1")


def test_a_hundred_within_any_minute_count() -> None:
    """Fifty at the end of a minute and fifty at the beginning of the next are a hundred within a minute."""
    moment = 1050.0
    keys = UnknownKeys(clock=lambda: moment)
    for _ in range(50):
        keys.count("192.0.2.1")
    moment = 1065.0
    for _ in range(50):
        keys.count("192.0.2.1")
    with pytest.raises(TooManyUnknownKeys):
        keys.count("192.0.2.1")


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_a_customer_of_a_provider_is_one_address(first: str, second: str, is_same: bool) -> None:
    """The addresses of one /64 network of IPv6 count together; an IPv4 address is the same in both spellings."""
    keys = UnknownKeys(clock=lambda: 0.0)
    for _ in range(MOST_UNKNOWN):
        keys.count(first)
    if is_same:
        with pytest.raises(TooManyUnknownKeys):
            keys.count(second)
    else:
        keys.count(second)


def test_the_addresses_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more addresses than are kept, the one that was heard least recently is forgotten."""
    monkeypatch.setattr(unknown_keys, "MOST_ADDRESSES", 3)
    keys = UnknownKeys(clock=lambda: 0.0)
    for address in "abcadef":
        keys.count(address)
    assert list(keys._times) == ["d", "e", "f"]
