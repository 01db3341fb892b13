"""The Schedule of a subscription: `realtime`, `manual`, or a cron expression in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

REALTIME = "realtime"
MANUAL = "manual"

_FIELDS = 5
_EXPECTED = "must be realtime, manual, or a cron expression of five fields such as 0 6 * * 1-5"
_NEVER = "is a cron expression that can never be due: no month that it names has such a day"
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# The start of the search for a first tick. The day is fixed, so that an expression is either always valid or never.
# CronSim searches fifty years and then gives up, as for 30 February.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)

# The latest tick is searched in growing spans before *until*. An expression that has been due every minute for years is
# then computed only for the last hour.
_LOOK_BACK = tuple(timedelta(days=days) for days in (1 / 24, 1, 32, 366))


def is_cron(schedule: str) -> bool:
    """Whether a Schedule is a cron expression."""
    return schedule not in (REALTIME, MANUAL)


def schedule_fault(schedule: str) -> str | None:
    """Why a Schedule is not valid; None when it is."""
    if not is_cron(schedule):
        return None
    if instead := _NICKNAMES.get(schedule.strip().lower()):
        return f"must be written with five fields: {instead}"
    if not schedule.isascii() or len(schedule.split()) != _FIELDS:
        return f"{_EXPECTED}: minute, hour, day of the month, month and day of the week"
    try:
        first = next(CronSim(schedule, _SOME_DAY), None)
    except (CronSimError, ValueError):
        return _NEVER if _has_no_such_day(schedule) else _EXPECTED
    return None if first else _NEVER


def _has_no_such_day(schedule: str) -> bool:
    """Whether a rejected expression would be valid if every month had 31 days."""
    minute, hour, day, month, weekday = schedule.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", _SOME_DAY)
        CronSim(f"{minute} {hour} 1 {month} {weekday}", _SOME_DAY)
    except (CronSimError, ValueError):
        return False
    return True


def time_zone_fault(name: str) -> str | None:
    """Why a TimeZone is not valid; None when it is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # The last two are raised for the name of a folder or of another file among the time zones.
        return "must be an IANA time zone such as America/New_York"
    return None


def ticks(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """
    The times of a cron expression later than *after*, in UTC; the expression is in local time of *time_zone*.

    Changes of the clocks are handled as in Debian's cron: a local time that is skipped is due right after the gap, and
    a local time that occurs twice is due once, unless the expression has a `*` for its minutes or its hours.
    """
    for tick in CronSim(schedule, after.astimezone(ZoneInfo(time_zone))):
        moment = tick.astimezone(UTC)
        # In an hour that occurs twice, CronSim begins with the first.
        if moment > after:
            yield moment


def latest_tick(schedule: str, time_zone: str, after: datetime, until: datetime) -> datetime | None:
    """The last time of a cron expression after *after* and up to *until*; None if there is no such time."""
    for look_back in (*_LOOK_BACK, until - after):
        begin = max(after, until - look_back)
        last = None
        for tick in ticks(schedule, time_zone, begin):
            if tick > until:
                break
            last = tick
        if last is not None or begin == after:
            return last
    return None
