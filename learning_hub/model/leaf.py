"""What a leaf of a template gives, as far as that is known before any event comes."""

from __future__ import annotations

from typing import Literal

import msgspec

Gives = Literal["text", "integer", "decimal", "boolean", "date", "time", "imis_datetime"]


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """
    A string with Liquid in it, at *place*: category and keys, joined with dots.

    What it *gives* is that, or null. A `date` is a day, a `time` one in ISO 8601. Texts have *shortest* characters or
    more, and *longest* or fewer, None where there is no bound. *constant* is its value for every event, as JSON text;
    null and values of several parts count as text. None where it depends on the event, or is long.
    """

    place: str
    gives: Gives
    shortest: int = 0
    longest: int | None = None
    constant: str | None = None
