"""
The id of a participant as a publisher names it: when two ids are the same person's, what the subscriber is asked for,
and how a message shows an id.

The stored text stays as it was sent. Every xAPI actor has `mailto:` before its address, and addresses that were copied
from documents and web pages have marks that nobody sees.
"""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import chain

# Byte order mark; zero width space, joiners and direction marks; word joiner.
_UNSEEN = re.compile("[\ufeff\u200b-\u200f\u2060]")
# Those of str.isspace.
_BLANK = r"[\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_AROUND = re.compile(rf"\A(?:mailto:|{_BLANK})+|{_BLANK}+\Z", re.IGNORECASE | re.ASCII)
# The characters with a meaning in HTML, by every reference to them; an ampersand that this decodes begins no other.
_REFERENCE = re.compile(
    "&(?:(#0*38|#x0*26|amp)|(#0*39|#x0*27|apos)|(#0*34|#x0*22|quot)|(#0*60|#x0*3c|lt)|#0*62|#x0*3e|gt);",
    re.IGNORECASE | re.ASCII,
)
_REFERRED = (">", "&", "'", '"', "<")
# ASCII, Latin, Greek, Cyrillic and Armenian; Latin with further marks; the signs kelvin and angstrom; full-width Latin.
_CASED = chain(range(0x590), range(0x1E00, 0x1F00), (0x212A, 0x212B), range(0xFF21, 0xFF3B))


def _folded(letter: str) -> str:
    """*letter* in lower case; itself where another case of it is more than one letter."""
    folded = letter.casefold() if len(letter.casefold()) == 1 else letter.lower()
    return folded if letter.isalpha() and len(folded) == 1 else letter


_FOLDED = {number: _folded(chr(number)) for number in _CASED}


def participant_key(participant_id: str) -> str:
    """
    A text that two ids have in common if and only if they are the same person's.

    Case, `mailto:`, blanks around the id, marks that nobody sees, and whether the characters `&'"<>` are written as
    references of HTML do not count. An id of which nothing would be left is its own key. The function participant_key
    of the database is the same rule.
    """
    return to_look_up(_decoded(participant_id).translate(_FOLDED)) or participant_id


def to_look_up(participant_id: str) -> str:
    """*participant_id* without marks that nobody sees, without `mailto:`, and without blanks around it."""
    return _AROUND.sub("", _UNSEEN.sub("", participant_id))


def is_same_participant(one: str, other: str) -> bool:
    """Whether two ids are the same person's, one of them as the subscriber writes it: with any HTML entities."""
    return participant_key(html.unescape(one)) == participant_key(html.unescape(other))


def visible(text: str) -> str:
    """*text* for a message: a mark that nobody sees, or a blank that is not a space, as `<U+200B>`."""
    return "".join(one if _is_visible(one) else f"<U+{ord(one):04X}>" for one in text)


def _decoded(participant_id: str) -> str:
    return _REFERENCE.sub(lambda match: _REFERRED[match.lastindex or 0], participant_id)


def _is_visible(character: str) -> bool:
    return character == " " or unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
