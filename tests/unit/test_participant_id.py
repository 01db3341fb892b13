"""What counts of a participant's id, and how a message shows it."""

from __future__ import annotations

import pytest

from learning_hub.model.participant_id import is_same_participant, participant_key, to_look_up, visible

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
    assert is_same_participant("MAEVE.O&#39;Hara@example.org ", "maeve.o'hara@example.org")
    assert not is_same_participant("maeve.ohara@example.org", "maeve.o'hara@example.org")


@pytest.mark.parametrize(
    "same",
    [
        (
            "robin@example.org",
            "Robin@EXAMPLE.org",
            "mailto:mailto:robin@example.org",
            "\u2060 MAILTO:\u00a0robin@example.org\t",
        ),
        (
            "maeve.o'hara@example.org",
            "maeve.o&#39;hara@example.org",
            "MAEVE.O&#X0027;HARA@example.org",
            "maeve.o&apos;hara@example.org",
        ),
        ("a&b", "A&amp;B", "a&#38;b"),
        ("élodie", "ÉLODIE"),
        ("νίκος", "ΝΊΚΟΣ"),
    ],
)
def test_spellings_of_an_id_have_one_key(same: tuple[str, ...]) -> None:
    """Case, `mailto:`, blanks, marks and references of HTML do not count."""
    assert len({participant_key(one) for one in same}) == 1


def test_an_id_of_which_nothing_is_left_is_its_own_key() -> None:
    """Blank ids and a mere `mailto:` are not the same as each other or as anybody's."""
    empty = ["", " ", "mailto:", "mailto: ", "\u200b", "\ufeffmailto:"]
    assert [participant_key(one) for one in empty] == empty


def test_what_other_ids_have_in_common_is_not_enough() -> None:
    """A blank within an id, another mark, and a reference without its semicolon count."""
    ids = ["a b", "ab", "a.b", "a&#39b", "a'b", "b mailto:a", "a"]
    assert len({participant_key(one) for one in ids}) == len(ids)


def test_messages_show_what_nobody_sees() -> None:
    """Each mark is shown by its number; letters of every alphabet and spaces stay."""
    assert visible("robin\u200b\u00a0\n@exämple.org x") == "robin<U+200B><U+00A0><U+000A>@exämple.org x"
