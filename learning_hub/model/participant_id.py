"""
The id of a participant as a publisher names it: what of it counts in a look-up, and how a message shows it.

The stored text stays as it was sent. Every xAPI actor has `mailto:` before its address, and addresses that were copied
from documents and web pages have marks that nobody sees.
"""

from __future__ import annotations

import html
import re
import unicodedata

_SCHEME = "mailto:"
# Byte order mark; zero width space, joiners and direction marks; word joiner.
_UNSEEN = re.compile("[\ufeff\u200b-\u200f\u2060]")


def to_look_up(participant_id: str) -> str:
    """*participant_id* without marks that nobody sees, without `mailto:`, and without blanks around it."""
    seen = _UNSEEN.sub("", participant_id).strip()
    return seen[len(_SCHEME) :].lstrip() if seen[: len(_SCHEME)].lower() == _SCHEME else seen


def is_same_address(one: str, other: str) -> bool:
    """Whether two texts are the same address: in any case, with HTML entities or the characters they stand for."""
    return _comparable(one) == _comparable(other)


def visible(text: str) -> str:
    """*text* for a message: a mark that nobody sees, or a blank that is not a space, as `<U+200B>`."""
    return "".join(one if _is_visible(one) else f"<U+{ord(one):04X}>" for one in text)


def _comparable(address: str) -> str:
    return to_look_up(html.unescape(address)).casefold()


def _is_visible(character: str) -> bool:
    return character == " " or unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
