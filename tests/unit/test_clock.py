"""Times are read from RFC 3339 and written in UTC ending in Z, microseconds at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from learning_hub.model.clock import now, to_utc, written
from learning_hub.model.errors import InvalidFields
from learning_hub.model.fields import read_struct

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
WRONG = "must be an RFC 3339 time such as 2031-03-14T15:20:00Z"
OUT_OF_RANGE = "leads out of the years 1 to 9999 in UTC"


class Moment(msgspec.Struct, rename="pascal"):
    """One time."""

    at: datetime


def read(text: str) -> datetime:
    return read_struct({"At": Raw(msgspec.json.encode(text))}, Moment).at


def fault_of(text: str) -> str:
    with pytest.raises(InvalidFields) as caught:
        read(text)
    (error,) = caught.value.errors
    assert error.field == "At"
    return error.message


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), OFFSETS)  # noqa: DTZ001
def test_a_time_survives_reading_and_writing(moment: datetime, offset: timezone) -> None:
    """A time with any offset is read as the same instant in UTC, and written so that it reads as that instant again."""
    aware = moment.replace(tzinfo=offset)

    assert aware == read(aware.isoformat())
    assert UTC is read(aware.isoformat()).tzinfo
    assert aware == read(written(aware))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
        ("2026-11-20t14:00:00z", "2026-11-20T14:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T18:59:60.5-05:00", "2016-12-31T23:59:59.999999Z"),
        ("2026-11-20 14:00:00Z", "2026-11-20T14:00:00Z"),
        ("2026-11-20T14:00:00", "2026-11-20T14:00:00Z"),
        ("2026-11-20T14:00:00-00:00", "2026-11-20T14:00:00Z"),
        ("2026-11-20T14:00:00+05:30", "2026-11-20T08:30:00Z"),
        ("2026-11-20T23:30:00-05:00", "2026-11-21T04:30:00Z"),
        ("2026-11-20T14:00:00.5Z", "2026-11-20T14:00:00.500000Z"),
        ("2026-11-20T14:00:00.000000Z", "2026-11-20T14:00:00Z"),
        ("0212-03-04T05:06:07Z", "0212-03-04T05:06:07Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00Z"),
        ("9999-12-31T22:59:59-01:00", "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_written_in_utc(text: str, expected: str) -> None:
    """A time with any offset, or none for UTC, is written in UTC, with years of four digits."""
    assert expected == written(read(text))
    assert expected == msgspec.json.decode(msgspec.json.encode(read(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T14:00:00.1234567Z", "2026-11-20T14:00:00.123456Z"),
        ("2026-11-20T14:00:00.9999999Z", "2026-11-20T14:00:00.999999Z"),
        ("2026-11-20T23:59:59.9999999", "2026-11-20T23:59:59.999999Z"),
        ("2026-11-20T14:00:00.0000009+02:00", "2026-11-20T12:00:00Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-11-20T14:00:00.123456789012345678901234567890Z", "2026-11-20T14:00:00.123456Z"),
    ],
)
def test_finer_fractions_are_cut(text: str, expected: str) -> None:
    """Digits beyond microseconds are cut and never rounded: .NET's seven digits stay in their second."""
    assert expected == written(read(text))


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59-23:59"]
)
def test_offsets_at_the_edges(text: str) -> None:
    """An offset that leads out of the years 1 to 9999 is rejected with that reason."""
    assert fault_of(text) == OUT_OF_RANGE
    with pytest.raises(ValueError, match=OUT_OF_RANGE):
        to_utc(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-20",
        "20261120T140000Z",
        "2026-11-20T14:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T14:60:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "212-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "2026-11-20T14:00:00,5Z",
        "2026-11-20T14:00:00.Z",
        "2026-11-20T14:00:00+24:00",
        "2026-11-20T14:00:00Z ",
        "2026-11-20T14:00:00Z\n",
        "\uff12\uff1026-11-20T14:00:00Z",
        "1795000000",
    ],
)
def test_a_text_that_is_no_time_is_rejected_with_an_example(text: str) -> None:
    """A text that is not an RFC 3339 time, or names a day that does not exist, is rejected with an example."""
    assert fault_of(text) == WRONG


def test_the_time_now_is_in_utc() -> None:
    """The time now is aware and in UTC."""
    assert UTC is now().tzinfo
