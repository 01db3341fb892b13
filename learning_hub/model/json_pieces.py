"""
Splitting a JSON object or array into its members when the strict reader rejects the whole text.

A single lone surrogate or a nest of a thousand brackets makes msgspec reject the whole text. The publisher must still
learn which field has the error, and in a batch the other events must not fail. So the outermost object or array is
split here, without recursion, and each piece can be checked by itself. This is slower, and only used when needed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec import Raw

# A string is one token, so that brackets and commas inside it are skipped. A quotation mark that begins no string is a
# token of its own and ends the reading: to go on after it would take quadratic time.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
_MEMBER = re.compile(rb"[ \t\r\n]*(" + _STRING + rb")[ \t\r\n]*:(.*)", re.DOTALL)
_WHITESPACE = b" \t\r\n"


def split_object(text: bytes) -> dict[str, Raw]:
    """
    The members of a JSON object in UTF-8, each value as spelled. The last value of a repeated key counts.

    Raises:
        ValueError: *text* is not well-formed, or not an object.
    """
    members = {}
    for piece in _pieces(text, b"{", b"}"):
        member = _MEMBER.fullmatch(piece)
        if member is None:
            raise ValueError("a member without a name")
        members[str(_read(member[1]))] = _well_formed(member[2])
    return members


def split_array(text: bytes, most: int) -> list[Raw]:
    """
    The first items of a JSON array in UTF-8, up to *most*, each as spelled; the text after them is not checked.

    Raises:
        ValueError: The text up to there is not well-formed, or not an array.
    """
    return [_well_formed(piece) for piece in islice(_pieces(text, b"[", b"]"), most)]


def _pieces(text: bytes, opening: bytes, closing: bytes) -> Iterator[bytes]:
    """The texts between the commas of the first level."""
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
    # A piece that is too deep to be read is accepted here; the check of the piece reports it.
    with contextlib.suppress(RecursionError):
        _read(piece)
    return Raw(piece)


def _read(piece: bytes) -> Any:
    """The value, which may have lone surrogates and numbers of any length."""
    return json.loads(piece.decode(), parse_int=str, parse_float=str, parse_constant=_reject_constant)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
