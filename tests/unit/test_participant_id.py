"""What counts of a participant's id, and how a message shows it."""

from __future__ import annotations

import pytest

from learning_hub.model.participant_id import is_same_address, to_look_up, visible

ADDRESS = "robin.vale@example.org"


@pytest.mark.parametrize("mark", ["\ufeff", *map(chr, range(0x200B, 0x2010)), "\u2060", " ", "\u00a0", "\t", "\r\n"])
def test_what_nobody_sees_is_taken_off(mark: str) -> None:
    """Marks and blanks around an id, and around the address after `mailto:`, do not count."""
    assert to_look_up(f"{mark}{ADDRESS}{mark}") == ADDRESS
    assert to_look_up(f"{mark}mailto:{mark}{ADDRESS}{mark}") == ADDRESS


@pytest.mark.parametrize("sent", [f"mailto:{ADDRESS}", f"MailTo:{ADDRESS}", "robin\u200b.vale@example\ufeff.org"])
def test_an_address_is_found_in_what_was_sent(sent: str) -> None:
    """`mailto:` counts in no case, and marks do not count within an address."""
    assert to_look_up(sent) == ADDRESS


def test_addresses_are_compared_decoded_and_in_any_case() -> None:
    """An apostrophe is the same as its HTML entity; another address is not."""
    assert is_same_address("MAEVE.O&#39;Hara@example.org ", "maeve.o'hara@example.org")
    assert not is_same_address("maeve.ohara@example.org", "maeve.o'hara@example.org")


def test_messages_show_what_nobody_sees() -> None:
    """Each mark is shown by its number; letters of every alphabet and spaces stay."""
    assert visible("robin\u200b\u00a0\n@exämple.org x") == "robin<U+200B><U+00A0><U+000A>@exämple.org x"
