"""
Dates and times in templates.

Templates read ISO 8601 and RFC 3339 (`2024-08-03`, `2024-08-03T21:43:58Z`, `2024-08-03 21:43:58.5+02:00`), dates with
the name of the month (`March 14, 2016 3:20 pm`), Unix seconds as a whole number, and `now` and `today` where the
template writes them; in data these words are no times. A date such as `8/3/2024` is an error, because its month and its
day cannot be distinguished. A value without an offset whose time of day is midnight is a date, because systems that
keep only days write them so; any other time without an offset is in UTC.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil import parser as dateutil_parser  # type: ignore[import-untyped]

from learning_hub.model import clock
from learning_hub.rendering.values import PresentMoment, filter_error, shown

# Whole numbers read as Unix seconds: 1973 to 2286. A smaller number is more likely a day written as 20240803.
_UNIX_SECONDS = range(100_000_000, 10_000_000_000)
_MONTH_NAME = re.compile(r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b", re.IGNORECASE)
_MAX_TIME_CHARACTERS = 64
_TWO_DEFAULTS = (datetime(2000, 1, 1, 0), datetime(2004, 2, 2, 1))  # noqa: DTZ001 (they only fill in digits)


def read_time(value: object, filter_name: str) -> datetime | date:
    """
    *value* as a time with its offset, or as a date if it has no offset, and no time of day or midnight.

    Raises:
        FilterArgumentError: *value* is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value in _UNIX_SECONDS:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, PresentMoment):
        return clock.now()
    moment = _read_text(value.strip()) if isinstance(value, str) and len(value) <= _MAX_TIME_CHARACTERS else None
    if moment is None:
        raise filter_error(f"{filter_name} needs a date or time such as 2031-03-14T15:20:00Z and got {shown(value)}")
    return moment


def time_zone(name: object) -> ZoneInfo:
    """
    The time zone with an IANA *name* such as `America/New_York`.

    Raises:
        FilterArgumentError: No time zone has that name.
    """
    try:
        return ZoneInfo(name if isinstance(name, str) else "")
    except (ValueError, OSError, KeyError) as error:
        raise filter_error(f"{shown(name)} is not an IANA time zone such as America/New_York") from error


def in_zone(moment: datetime | date, zone: ZoneInfo) -> datetime:
    """*moment* as local time of *zone*; a date is midnight of that day in the zone."""
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=zone)
    try:
        return moment.astimezone(zone)
    except OverflowError as error:
        raise filter_error(f"{moment.isoformat()} has no local time in {zone.key}") from error


def imis_time(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss.fff` on a 24-hour clock, cut to milliseconds."""
    return f"{moment.year:04}-{moment:%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"


def format_time(moment: datetime, pattern: str) -> str:
    """
    *moment* formatted by *pattern*, in English whatever the locale.

    The directives are those of `strftime` in Ruby and Python: `%Y-%m-%d %H:%M:%S.%L %p %z`. A `-` after the percent
    sign removes padding, `_` pads with spaces, `^` makes capitals.

    Raises:
        FilterArgumentError: *pattern* has an unknown directive.
    """

    def replace(match: re.Match[str]) -> str:
        flag, letter = match.groups()
        if letter not in _DIRECTIVES:
            raise filter_error(f"date has no directive {match[0]}")
        text = _DIRECTIVES[letter](moment)
        if flag == "-":
            return text.lstrip(" 0") or "0"
        if flag == "_":
            bare = text.lstrip("0") or "0"
            return bare.rjust(len(text))
        return text.upper() if flag == "^" else text

    return re.sub(r"%([-_^0]?)(:z|.|\Z)", replace, pattern, flags=re.DOTALL)


def _read_text(text: str) -> datetime | date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(clock.without_leap_second(text.upper()))
    except ValueError:
        return _read_words(text)
    return _date_or_time(moment)


def _date_or_time(moment: datetime) -> datetime | date:
    if moment.tzinfo:
        return moment
    return moment.date() if moment.time() == time.min else moment.replace(tzinfo=UTC)


def _read_words(text: str) -> datetime | date | None:
    """A date with the name of its month; None if day or year must be guessed, or its zone is only an abbreviation."""
    if not _MONTH_NAME.search(text):
        return None
    try:
        with warnings.catch_warnings():
            # An abbreviation such as EST stands for several zones; dateutil warns and ignores it, here it is an error.
            warnings.simplefilter("error")
            # dateutil takes absent parts from the default, so two defaults show which parts are absent.
            readings: list[datetime] = [dateutil_parser.parse(text, default=default) for default in _TWO_DEFAULTS]
    except (ValueError, OverflowError, TypeError, Warning):
        return None
    first, second = readings
    if first.date() != second.date():
        return None
    if first != second:
        return first.date() if first.time() == datetime.min.time() else None
    return _date_or_time(first)


def _offset(moment: datetime, colon: str) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    sign = "-" if seconds < 0 else "+"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{sign}{hours:02}{colon}{minutes:02}"


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_DIRECTIVES: dict[str, Callable[[datetime], str]] = {
    "Y": lambda t: f"{t.year:04}",
    "C": lambda t: f"{t.year // 100:02}",
    "y": lambda t: f"{t.year % 100:02}",
    "m": lambda t: f"{t.month:02}",
    "B": lambda t: _MONTHS[t.month - 1],
    "b": lambda t: _MONTHS[t.month - 1][:3],
    "h": lambda t: _MONTHS[t.month - 1][:3],
    "d": lambda t: f"{t.day:02}",
    "e": lambda t: f"{t.day:2}",
    "j": lambda t: f"{t.timetuple().tm_yday:03}",
    "H": lambda t: f"{t.hour:02}",
    "k": lambda t: f"{t.hour:2}",
    "I": lambda t: f"{t.hour % 12 or 12:02}",
    "l": lambda t: f"{t.hour % 12 or 12:2}",
    "M": lambda t: f"{t.minute:02}",
    "S": lambda t: f"{t.second:02}",
    "L": lambda t: f"{t.microsecond // 1000:03}",
    "f": lambda t: f"{t.microsecond:06}",
    "N": lambda t: f"{t.microsecond:06}000",
    "p": lambda t: "AM" if t.hour < 12 else "PM",
    "P": lambda t: "am" if t.hour < 12 else "pm",
    "A": lambda t: _DAYS[t.weekday()],
    "a": lambda t: _DAYS[t.weekday()][:3],
    "u": lambda t: str(t.isoweekday()),
    "w": lambda t: str(t.isoweekday() % 7),
    "G": lambda t: f"{t.isocalendar().year:04}",
    "g": lambda t: f"{t.isocalendar().year % 100:02}",
    "V": lambda t: f"{t.isocalendar().week:02}",
    "U": lambda t: f"{(t.timetuple().tm_yday + 6 - t.isoweekday() % 7) // 7:02}",
    "W": lambda t: f"{(t.timetuple().tm_yday + 6 - t.weekday()) // 7:02}",
    "z": lambda t: _offset(t, ""),
    ":z": lambda t: _offset(t, ":"),
    "Z": lambda t: t.tzname() or "UTC",
    "s": lambda t: str(int(t.timestamp())),
    "F": lambda t: f"{t.year:04}-{t.month:02}-{t.day:02}",
    "D": lambda t: format_time(t, "%m/%d/%y"),
    "x": lambda t: format_time(t, "%m/%d/%y"),
    "T": lambda t: format_time(t, "%H:%M:%S"),
    "X": lambda t: format_time(t, "%H:%M:%S"),
    "R": lambda t: format_time(t, "%H:%M"),
    "r": lambda t: format_time(t, "%I:%M:%S %p"),
    "c": lambda t: format_time(t, "%a %b %e %H:%M:%S %Y"),
    "v": lambda t: format_time(t, "%e-%^b-%Y"),
    "n": lambda _: "\n",
    "t": lambda _: "\t",
    "%": lambda _: "%",
}  # fmt: skip
