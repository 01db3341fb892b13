"""
What a column of iMIS accepts, and how it stores a value.

Source: iMIS reference, section 9.2.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.connectors.imis.wire import Json, Value, local_time, member, unwrap
from learning_hub.model.json_values import SpelledDecimal

_DECIMAL_KINDS = ("Decimal", "Monetary")
# Of classes such as PropertyTypeStringData, where the name of the type is left out.
_CLASS = re.compile(r"PropertyType(\w+?)Data\b")
_NAMES_OF_CLASSES = {"DateTime": "Date"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Column(msgspec.Struct, frozen=True):
    """*kind* is the `PropertyTypeName`; *scale* the digits after the point, None where it is not known."""

    kind: str
    scale: int | None = None
    is_date_only: bool = False

    def as_sent(self, value: Value, zone: ZoneInfo) -> Value:
        """
        *value* as the column accepts it.

        An integer for a decimal column becomes a decimal, so that it is wrapped as one. A time with an offset becomes a
        local time of the site, in its *zone*.

        How iMIS reads an offset is not known (section 3.5). A time without an offset is sent as it is.
        """
        if self.kind == "Date" and isinstance(value, str):
            return local_time(value, zone)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return SpelledDecimal(str(value)) if is_whole and self.kind in _DECIMAL_KINDS else value

    def as_stored(self, value: Value) -> Value:
        """*value* as iMIS stores it: decimals are rounded half up, a column for days drops the time."""
        if value is None or isinstance(value, bool):
            return value
        if self.kind in _DECIMAL_KINDS and self.scale is not None:
            return _rounded(value, self.scale)
        if self.is_date_only and isinstance(value, str) and (day := _DAY.match(value)):
            return day[0]
        return value


def read_column(definition: Json) -> Column:
    """A column as a definition of the source describes it."""
    scale = unwrap(member(definition, "Scale"))
    return Column(
        kind=type_name_of(definition),
        scale=scale if isinstance(scale, int) and 0 <= scale <= 38 else None,
        is_date_only=unwrap(member(definition, "DateTimeDataType")) == 1,
    )


def type_name_of(definition: Json) -> str:
    """The `PropertyTypeName` of a column, or else the name for its class; empty where neither is given."""
    if name := unwrap(member(definition, "PropertyTypeName")):
        return str(name)
    match = _CLASS.search(str(member(definition, "$type")))
    return _NAMES_OF_CLASSES.get(match[1], match[1]) if match else ""


def _rounded(value: Any, scale: int) -> Value:
    try:
        with localcontext(prec=100):
            number = Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    except InvalidOperation:
        return value if isinstance(value, str | int | Decimal) else None
    return number
