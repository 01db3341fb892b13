"""What a leaf of a template gives, as far as that is known before any event comes."""

from __future__ import annotations

from typing import Literal

import msgspec

Gives = Literal["text", "integer", "decimal", "boolean", "date", "time", "imis_datetime"]


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """
    A string with Liquid in it, at *place*: category and keys, joined with dots.

    What it *gives* is that, or null. A `date` is a day, a `time` one in ISO 8601. Texts have *shortest* characters or
    more, and *longest* or fewer, None where there is no bound.
    """

    place: str
    gives: Gives
    shortest: int = 0
    longest: int | None = None
