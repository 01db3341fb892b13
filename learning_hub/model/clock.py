"""The only reader of the clock, and the one way times are read and written."""

from __future__ import annotations

from datetime import UTC, datetime

BEGINNING = datetime.min.replace(tzinfo=UTC)


def now() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


def to_utc(moment: datetime) -> datetime:
    """
    *moment* in UTC; one without an offset is taken as UTC.

    Raises:
        ValueError: Its offset leads out of the years 1 to 9999.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("leads out of the years 1 to 9999 in UTC") from None


def written(moment: datetime) -> str:
    """RFC 3339 in UTC ending in `Z`, with microseconds where there are any."""
    return to_utc(moment).replace(tzinfo=None).isoformat() + "Z"
