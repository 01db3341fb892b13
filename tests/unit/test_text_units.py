"""A text is counted in UTF-16 units, and cut only between characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.text_units import cut_to_units, utf16_length

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    "character",
    [
        FAMILY, FLAG, SCOTLAND, "\U0001f44d\U0001f3fd", "e\u0301", "o\u0302\u0323", "\r\n", "\u0915\u094d\u0937",
        "\u1112\u1161\u11ab", "\ud55c", "\uac00\u11a8", "\U00020000", "1\ufe0f\u20e3",
        "\U0001f3f3\ufe0f\u200d\U0001f308",        "\u0600\u0661", "\uff76\uff9e", "\u0e19\u0e49\u0e33",
    ],
)  # fmt: skip
def test_no_character_is_cut(character: str) -> None:
    """A character that does not fit whole is left out: families, flags, combining marks, surrogate pairs, syllables."""
    units = utf16_length(character)
    for limit in range(units):
        assert cut_to_units("ab" + character + "z", 2 + limit) == "ab"
    assert cut_to_units("ab" + character + "z", 2 + units) == "ab" + character
    assert cut_to_units(character * 3, units * 2 + units // 2) == (character * 3)[: len(character) * 2]


@given(st.text(max_size=40), st.integers(0, 60))
def test_a_cut_text_fits_and_is_the_beginning(text: str, units: int) -> None:
    """A cut text is a beginning of the text, has at most as many units, and stays the same when it is cut again."""
    cut = cut_to_units(text, units)
    assert text.startswith(cut)
    assert utf16_length(cut) <= units
    assert cut_to_units(cut, units) == cut


@given(st.text(st.characters(codec="ascii", exclude_characters="\r"), max_size=40), st.integers(0, 60))
def test_plain_text_is_cut_at_its_length(text: str, units: int) -> None:
    """A text of ASCII is cut at the number of its characters."""
    assert cut_to_units(text, units) == text[:units]


def test_lengths() -> None:
    """An emoji has two units, a family of three eight."""
    assert [utf16_length(text) for text in ("abc", "é", "\U0001f600", FAMILY, FLAG)] == [3, 1, 2, 8, 4]
