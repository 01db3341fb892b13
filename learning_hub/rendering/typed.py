"""
The typed filters: from whatever a publisher sent to a value of a certain type, or an error.

Null passes through all of them but `must_have`, as null; what is missing does not come here (see `filters`). Blank text
is no number, date or boolean: a template that wants null for it says `blank_to_null` first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from liquid.filter import with_context

from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.rendering import arithmetic, times
from learning_hub.rendering.arithmetic import Number
from learning_hub.rendering.values import as_text, is_blank, shown, to_json_value, unreadable

if TYPE_CHECKING:
    from learning_hub.rendering.language import Context

_TRUE = frozenset(("true", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "no", "n", "off", "0"))


def decimal(value: object, places: object = None) -> SpelledDecimal | None:
    """A decimal number in its own spelling; with *places*, rounded to so many, halves away from zero."""
    if value is None:
        return None
    return arithmetic.to_decimal(_number(value, "decimal"), places, "decimal")


def integer(value: object) -> int | None:
    """A whole number; `12.0` is 12, and `12.5` an error."""
    if value is None:
        return None
    return arithmetic.to_integer(_number(value, "integer"), "integer")


def boolean(value: object) -> bool | None:
    """True for true, `true`, `yes`, `y`, `on`, `1` in any case and 1; false for their opposites."""
    if value is None or isinstance(value, bool):
        return value
    word = as_text(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _unreadable(value, "boolean", "true or false")


def text(value: object, length: object = None) -> str | None:
    """*value* as text; with *length*, its first so many characters."""
    if value is None:
        return None
    written = as_text(value)
    if length is None:
        return written
    characters = arithmetic.to_integer(arithmetic.number_of(length, "text"), "text")
    if characters < 0:
        raise unreadable(f"text needs a number of characters from 0 and got {shown(length)}")
    return written[:characters]


def date(value: object, pattern: object = "%Y-%m-%d") -> str | None:
    """The date, or what *pattern* makes of the time, on the clocks that the value itself speaks of."""
    if value is None:
        return None
    moment = _time(value, "date")
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return times.format_time(moment, as_text(pattern))


def in_zone(value: object, zone_name: object) -> str | None:
    """The time in ISO 8601 with its offset, on the clocks of a zone."""
    zone = times.zone_named(zone_name)
    return None if value is None else times.in_zone(_time(value, "in_zone"), zone).isoformat()


@with_context
def imis_datetime(value: object, *, context: Context) -> str | None:
    """The time as iMIS wants it, on the clocks of the subscriber's zone; in UTC where it has none."""
    if value is None:
        return None
    zone = times.zone_named(context.time_zone) if context.time_zone else ZoneInfo("UTC")
    return times.imis_time(times.in_zone(_time(value, "imis_datetime"), zone))


def blank_to_null(value: object) -> object:
    """Null for blank text and empty lists and objects; anything else as it is."""
    return None if is_blank(value) else value


def must_have(value: object) -> object:
    """Anything but null or blank."""
    if is_blank(value):
        raise unreadable(f"a value must be here (must_have), and there is {shown(value)}")
    return value


def json(value: object) -> str:
    """*value* as JSON text."""
    return write_json(to_json_value(value)).decode()


def _number(value: object, filter_name: str) -> Number:
    _refuse_blank(value, filter_name)
    return arithmetic.number_of(value, filter_name)


def _time(value: object, filter_name: str) -> Any:
    _refuse_blank(value, filter_name)
    return times.read_time(value, filter_name)


def _unreadable(value: object, filter_name: str, wanted: str) -> Exception:
    _refuse_blank(value, filter_name)
    return unreadable(f"{filter_name} needs {wanted} and got {shown(value)}")


def _refuse_blank(value: object, filter_name: str) -> None:
    if isinstance(value, str) and not value.strip():
        raise unreadable(f"{filter_name} cannot read blank text; put blank_to_null before it to send null")
