"""
The length of a text in UTF-16 code units, as iMIS and SQL Server count, and a cut between characters.

A character is what a reader sees as one: an extended grapheme cluster, such as a letter with its combining marks, a
flag, or an emoji family. Source: Unicode Standard Annex 29. Where the annex needs tables that Python does not have, the
rules here keep more together than it does, and never less.
"""

from __future__ import annotations

import unicodedata

_ZERO_WIDTH_JOINER = "\u200d"
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
# Marks that are not in the categories of marks: vowels of Thai and Lao, joiners, skin tones, tags of flags, marks of
# halfwidth katakana.
_JOINED_TO_THE_ONE_BEFORE = (
    range(0x0E33, 0x0E34),
    range(0x0EB3, 0x0EB4),
    range(0x200C, 0x200E),
    range(0x1F3FB, 0x1F400),
    range(0xE0020, 0xE0080),
    range(0xFF9E, 0xFFA0),
)
_MARKS = frozenset(("Mn", "Me", "Mc"))
# Prepended number signs and the like, which belong to what follows.
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd")
_VIRAMA = 9  # the combining class of signs that join two consonants to one
_HANGUL_LEADING = (range(0x1100, 0x1160), range(0xA960, 0xA97D))
_HANGUL_VOWEL = (range(0x1160, 0x11A8), range(0xD7B0, 0xD7C7))
_HANGUL_TRAILING = (range(0x11A8, 0x1200), range(0xD7CB, 0xD7FC))
_HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
_SYLLABLES_PER_VOWEL = 28


def utf16_length(text: str) -> int:
    """The number of UTF-16 code units of *text*."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut_to_units(text: str, units: int) -> str:
    """As many whole characters from the start of *text* as *units* UTF-16 code units hold."""
    if utf16_length(text) <= units:
        return text
    end = used = position = 0
    while position < len(text):
        following = _end_of_character(text, position)
        used += utf16_length(text[position:following])
        if used > units:
            break
        end = position = following
    return text[:end]


def _end_of_character(text: str, start: int) -> int:
    position = start + 1
    while position < len(text) and _belong_together(text, start, position):
        position += 1
    return position


def _belong_together(text: str, start: int, position: int) -> bool:
    """Whether the character that began at *start* goes on at *position*."""
    before, after = text[position - 1], text[position]
    if before == "\r" and after == "\n":
        return True
    if _is_control(before) or _is_control(after):
        return False
    code = ord(after)
    if unicodedata.category(after) in _MARKS or _is_in(code, _JOINED_TO_THE_ONE_BEFORE):
        return True
    if before == _ZERO_WIDTH_JOINER or before in _PREPENDED or unicodedata.combining(before) == _VIRAMA:
        return True
    if code in _REGIONAL_INDICATORS and ord(before) in _REGIONAL_INDICATORS:
        return position - start == 1
    return _is_one_syllable(ord(before), code)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _is_one_syllable(before: int, after: int) -> bool:
    """Whether the parts of a Hangul syllable belong together."""
    is_syllable = after in _HANGUL_SYLLABLES
    if _is_in(before, _HANGUL_LEADING):
        return is_syllable or _is_in(after, (*_HANGUL_LEADING, *_HANGUL_VOWEL))
    is_open = before in _HANGUL_SYLLABLES and (before - _HANGUL_SYLLABLES.start) % _SYLLABLES_PER_VOWEL == 0
    if is_open or _is_in(before, _HANGUL_VOWEL):
        return _is_in(after, (*_HANGUL_VOWEL, *_HANGUL_TRAILING))
    return (before in _HANGUL_SYLLABLES or _is_in(before, _HANGUL_TRAILING)) and _is_in(after, _HANGUL_TRAILING)


def _is_in(code: int, ranges: tuple[range, ...]) -> bool:
    return any(code in one for one in ranges)
