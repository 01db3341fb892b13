"""
Masks secrets in texts of subscribers, in every spelling in which a secret may appear.

A site may repeat what it was sent: plainly, percent-encoded in an address, escaped in JSON or HTML, in Base64 or
hexadecimal digits, or as a library quotes bytes. So the pattern for a secret matches each of its characters in all
spellings, also mixed in one secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import lru_cache
from html.entities import codepoint2name

MASK = "***"

# Shorter texts occur by chance.
_SHORTEST_ENCODED = 8
_TO_URL_SAFE = str.maketrans("+/", "-_")

# Characters that every encoding spells in the same way; each other character has several spellings.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
# Replaces bytes that are no UTF-8.
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Mask:
    """Masks *secrets* in texts; empty secrets are ignored."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest secret comes first, so that a secret that is part of another leaves no rest of it.
        plain = {*secrets} - {""}
        encoded = {text for secret in plain for text in _encoded(secret)}
        self._secrets = sorted(plain | encoded, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """*text* with *** instead of each secret."""
        for secret in self._secrets:
            # This part of a secret has one spelling only, so most texts need no search by pattern.
            if _longest_plain_part(secret) in text:
                text = _pattern(secret).sub(MASK, text)
        return text


def _longest_plain_part(secret: str) -> str:
    return max(_PLAIN.findall(secret), key=len, default="")


@lru_cache(maxsize=64)
def _encoded(secret: str) -> frozenset[str]:
    """*secret* in hexadecimal digits and in Base64, at each of its three positions within a longer text."""
    data = secret.encode("utf-8", "surrogatepass")
    texts = [data.hex(), data.hex().upper()]
    for shift, first in enumerate((0, 2, 3)):
        # The characters at the ends hold bits of the neighbouring bytes as well.
        text = base64.b64encode(bytes(shift) + data).decode()[first : (shift + len(data)) * 8 // 6]
        texts += [text, text.translate(_TO_URL_SAFE)]
    return frozenset(text for text in texts if len(text) >= _SHORTEST_ENCODED)


@lru_cache(maxsize=512)
def _pattern(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_spellings, secret)))


def _spellings(character: str) -> str:
    """A pattern for every spelling of *character*."""
    if _PLAIN.fullmatch(character):
        return character
    # The spellings of JSON and HTML; JSON within a text of JSON has more backslashes.
    spellings = [rf"\\{{0,8}}{re.escape(character)}", *_in_json(character), *_in_html(character)]
    data = character.encode("utf-8", "surrogatepass")
    spellings.append("".join(f"%{_hex(byte, 2)}" for byte in data))
    spellings.append("".join(rf"\\{{1,8}}x{_hex(byte, 2)}" for byte in data))
    if character == " ":
        spellings.append(r"\+")
    if not character.isascii():
        spellings.append(f"{_UNREADABLE}{{1,{len(data)}}}")
        if ord(character) < 256:
            spellings.append(f"%{_hex(ord(character), 2)}")
    return f"(?:{'|'.join(spellings)})"


def _in_json(character: str) -> Iterable[str]:
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    yield "".join(rf"\\{{1,8}}u{_hex(pair, 4)}" for pair in pairs)
    if character in _SHORT_ESCAPES:
        yield rf"\\{{1,8}}{_SHORT_ESCAPES[character]}"


def _in_html(character: str) -> Iterable[str]:
    code = ord(character)
    yield f"&#0*{code};"
    yield f"&#[xX]0*{_hex(code, 1)};"
    names = {codepoint2name.get(code), "apos" if character == "'" else None} - {None}
    yield from (f"&{name};" for name in names)


def _hex(number: int, width: int) -> str:
    """A pattern for the hexadecimal digits of *number*, in either case."""
    digits = f"{number:0{width}x}"
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)
