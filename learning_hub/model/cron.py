"""When a subscription runs by itself: `realtime`, `manual`, or the times of a cron expression in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

REALTIME = "realtime"
MANUAL = "manual"

# An expression of the fifth year from now is a slip of the pen (30 February), or close to one.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def schedule_fault(schedule: str) -> str | None:
    """What is wrong with a Schedule; None when nothing is."""
    if schedule in (REALTIME, MANUAL):
        return None
    wanted = "must be realtime, manual, or a cron expression of five fields such as 0 6 * * 1-5"
    if not schedule.isascii() or len(schedule.split()) != 5:
        return wanted
    try:
        first = next(CronSim(schedule, _SOME_DAY), None)
    except (CronSimError, ValueError):
        return wanted
    return None if first else "is a cron expression that never comes"


def time_zone_fault(name: str) -> str | None:
    """What is wrong with a TimeZone; None when nothing is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # The last two come from a name that is a folder or a file of another kind among the time zones.
        return "must be an IANA time zone such as America/New_York"
    return None


def ticks(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The times of a cron expression later than *after*, in UTC, as its time zone's clocks show them."""
    for tick in CronSim(schedule, after.astimezone(ZoneInfo(time_zone))):
        yield tick.astimezone(UTC)
