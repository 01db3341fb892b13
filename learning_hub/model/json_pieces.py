"""
Taking a JSON text apart where the strict reader will not.

One lone surrogate or one nest of a thousand brackets makes msgspec refuse the whole text. A publisher must still be
told which field it stands in, and in a batch the other events must not suffer. So the outermost object or array is cut
into its pieces here, without recursion, each of which can then be judged by itself. Slower, and only used when needed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec import Raw

# A string as a whole, so that brackets and commas inside it are passed over. A quotation mark that begins none comes
# as a token of its own, and ends the reading: going on after it would take time in proportion to the square.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
_MEMBER = re.compile(rb"[ \t\r\n]*(" + _STRING + rb")[ \t\r\n]*:(.*)", re.DOTALL)
_WHITESPACE = b" \t\r\n"


def object_pieces(text: bytes) -> dict[str, Raw]:
    """
    The members of a JSON object in UTF-8, each value as it stands; of a repeated key the last counts.

    Raises:
        ValueError: It is not well-formed, or no object.
    """
    members = {}
    for piece in _pieces(text, b"{", b"}"):
        member = _MEMBER.fullmatch(piece)
        if member is None:
            raise ValueError("a member without a name")
        members[str(_read(member[1]))] = _well_formed(member[2])
    return members


def list_pieces(text: bytes, most: int) -> list[Raw]:
    """
    The first items of a JSON array in UTF-8, up to *most*, each as it stands; what comes after them is not looked at.

    Raises:
        ValueError: It is not well-formed, or no array.
    """
    return [_well_formed(piece) for piece in islice(_pieces(text, b"[", b"]"), most)]


def _pieces(text: bytes, opening: bytes, closing: bytes) -> Iterator[bytes]:
    """What stands between the commas of the first level."""
    text = text.strip(_WHITESPACE)
    if not text.startswith(opening) or not text.endswith(closing):
        raise ValueError("another kind of value")
    begin, depth = 1, 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b'"':
                raise ValueError("a string without an end")
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth == 0 and token.end() < len(text):
                    raise ValueError("something after the end")
            case b"," if depth == 1:
                yield text[begin : token.start()]
                begin = token.end()
    if depth:
        raise ValueError("brackets that do not match")
    last = text[begin:-1]
    if begin > 1 or last.strip(_WHITESPACE):
        yield last


def _well_formed(piece: bytes) -> Raw:
    piece = piece.strip(_WHITESPACE)
    # What is too deep to be read at all passes here; whoever judges the piece says so.
    with contextlib.suppress(RecursionError):
        _read(piece)
    return Raw(piece)


def _read(piece: bytes) -> Any:
    """A value, lone surrogates and numbers of any length included."""
    return json.loads(piece.decode(), parse_int=str, parse_float=str, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
