"""
The typed filters: each converts any value that a publisher sent to a value of one type, or raises an error.

All of them but `must_have` return null for null. A missing value never gets here (see `filters`). Blank text is not a
number, date or boolean; `blank_to_null` before the filter makes it null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from liquid.filter import with_context

from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.model.text_units import cut_to_units
from learning_hub.rendering import arithmetic, datetimes
from learning_hub.rendering.arithmetic import Number
from learning_hub.rendering.context import Context
from learning_hub.rendering.values import as_text, filter_error, is_blank, shown, to_json_value

_TRUE = frozenset(("true", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "no", "n", "off", "0"))


def decimal(value: object, places: object = None) -> SpelledDecimal | None:
    """A decimal number in its own spelling, or rounded to *places*, halves away from zero."""
    if value is None:
        return None
    return arithmetic.to_decimal(_number(value, "decimal"), places, "decimal")


def integer(value: object) -> int | None:
    """A whole number; `12.0` is 12, and `12.5` is an error."""
    if value is None:
        return None
    return arithmetic.to_integer(_number(value, "integer"), "integer")


def boolean(value: object) -> bool | None:
    """True for true, 1, and `true`, `yes`, `y`, `on`, `1` in any case; false for their opposites."""
    if value is None or isinstance(value, bool):
        return value
    word = as_text(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    _reject_blank(value, "boolean")
    raise filter_error(f"boolean needs true or false and got {shown(value)}")


def text(value: object, length: object = None) -> str | None:
    """*value* as text, or as many whole characters of it as *length* UTF-16 code units hold."""
    if value is None:
        return None
    written = as_text(value)
    if length is None:
        return written
    units = arithmetic.to_integer(arithmetic.number_of(length, "text"), "text")
    if units < 0:
        raise filter_error(f"text needs a number of characters, 0 or more, and got {shown(length)}")
    return cut_to_units(written, units)


def date(value: object, pattern: object = "%Y-%m-%d") -> str | None:
    """The date, or the time formatted by *pattern*, in the offset of the value itself."""
    if value is None:
        return None
    moment = _time(value, "date")
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return datetimes.format_time(moment, as_text(pattern))


def in_zone(value: object, zone_name: object) -> str | None:
    """The local time of a time zone, in ISO 8601 with its offset."""
    zone = datetimes.time_zone(zone_name)
    return None if value is None else datetimes.in_zone(_time(value, "in_zone"), zone).isoformat()


@with_context
def imis_datetime(value: object, *, context: Context) -> str | None:
    """The local time of the subscriber's time zone in the format of iMIS; UTC without a time zone."""
    if value is None:
        return None
    zone = datetimes.time_zone(context.time_zone) if context.time_zone else ZoneInfo("UTC")
    return datetimes.imis_time(datetimes.in_zone(_time(value, "imis_datetime"), zone))


def blank_to_null(value: object) -> object:
    """Null for blank text and empty lists and objects; any other value unchanged."""
    return None if is_blank(value) else value


def must_have(value: object) -> object:
    """*value*, which must not be null or blank."""
    if is_blank(value):
        raise filter_error(f"must_have needs a value and got {shown(value)}")
    return value


def json(value: object) -> str:
    """*value* as JSON text."""
    return write_json(to_json_value(value)).decode()


def _number(value: object, filter_name: str) -> Number:
    _reject_blank(value, filter_name)
    return arithmetic.number_of(value, filter_name)


def _time(value: object, filter_name: str) -> Any:
    _reject_blank(value, filter_name)
    return datetimes.read_time(value, filter_name)


def _reject_blank(value: object, filter_name: str) -> None:
    if isinstance(value, str) and not value.strip():
        raise filter_error(f"{filter_name} cannot read blank text; put blank_to_null before it to send null")
