"""What an event must look like, what makes two of them the same, and what becomes of one that arrives."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from factories import a_valid_event, an_event_body
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import InvalidFields, TooLarge
from learning_hub.model.event import Classification, EventType, LatestEntry, bucket, classify
from learning_hub.model.fields import read_object
from learning_hub.model.received_event import ReceivedEvent, program_named, read_event

LIMIT = 256 * 1024
TYPES = ", ".join(get_args(EventType))

TIME_NEEDED = "must be a string with an RFC 3339 time such as 2031-03-14T15:20:00Z"


def read(body: str, limit: int = LIMIT) -> ReceivedEvent:
    return read_event(read_object(body.encode()), max_data_bytes=limit)


def with_data(data: str) -> ReceivedEvent:
    body = json.dumps(an_event_body(PublisherEventData="@"))
    return read(body.replace('"@"', data))


def faults(**changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        read(json.dumps(an_event_body(**changes)))
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"PublisherProgramId": None}, {"PublisherProgramId": "is required"}),
        ({"PublisherProgramId": ""}, {"PublisherProgramId": "must not be empty"}),
        ({"PublisherProgramId": "x" * 26}, {"PublisherProgramId": "must have at most 25 characters"}),
        ({"PublisherSystemId": ""}, {"PublisherSystemId": "must not be empty"}),
        ({"PublisherSystemId": "x" * 26}, {"PublisherSystemId": "must have at most 25 characters"}),
        ({"EventType": "AI_COMP"}, {"EventType": f"must be one of {TYPES}"}),
        ({"EventType": "ai_comp_success"}, {"EventType": f"must be one of {TYPES}"}),
        ({"EventType": 1}, {"EventType": f"must be one of {TYPES}"}),
        ({"EventType": "x" * 5000}, {"EventType": f"must be one of {TYPES}"}),
        ({"PublisherEventId": ""}, {"PublisherEventId": "must not be empty"}),
        ({"PublisherEventId": "x" * 201}, {"PublisherEventId": "must have at most 200 characters"}),
        ({"PublisherEventId": 1234}, {"PublisherEventId": "must be a string, not an integer"}),
        ({"PublisherParticipantId": ""}, {"PublisherParticipantId": "must not be empty"}),
        ({"PublisherParticipantId": "x" * 201}, {"PublisherParticipantId": "must have at most 200 characters"}),
        ({"PublisherEventCategory": "Online"}, {"PublisherEventCategory": "must be an object"}),
        ({"PublisherEventCategory": {}}, {"PublisherEventCategory.value": "is required"}),
        ({"PublisherEventCategory": {"value": ""}}, {"PublisherEventCategory.value": "must not be empty"}),
        (
            {"PublisherEventCategory": {"value": "x" * 201, "label": "x" * 401, "Value": ""}},
            {
                "PublisherEventCategory.value": "must have at most 200 characters",
                "PublisherEventCategory.label": "must have at most 400 characters",
                "PublisherEventCategory.Value": "is not a known field",
            },
        ),
        ({"PublisherEventData": None}, {"PublisherEventData": "is required"}),
        ({"PublisherEventData": [1]}, {"PublisherEventData": "must be an object"}),
        ({"PublisherEventData": "{}"}, {"PublisherEventData": "must be an object"}),
        ({"PublisherEventData": {"a": ["\0"]}}, {"PublisherEventData.a[0]": "has a NUL character"}),
        ({"EventStartUtc": None}, {"EventStartUtc": "is required"}),
        (
            {"EventStartUtc": 1478390400},
            {"EventStartUtc": f"{TIME_NEEDED}, not a number"},
        ),
        (
            {"EventStartUtc": []},
            {"EventStartUtc": TIME_NEEDED},
        ),
        (
            {"EventEndUtc": 1.5},
            {"EventEndUtc": f"{TIME_NEEDED} or null, not a number"},
        ),
        ({"EventEndUtc": "2026-11-20T13:59:59.999999Z"}, {"EventEndUtc": "must not be before EventStartUtc"}),
        ({"EventEndUtc": "2026-11-20T15:59:59+02:00"}, {"EventEndUtc": "must not be before EventStartUtc"}),
        ({"EventId": "E:1"}, {"EventId": "is not a known field"}),
        ({"publisherSystemId": "LB"}, {"publisherSystemId": "is not a known field"}),
    ],
)
def test_a_broken_rule_is_reported_by_its_field(changes: dict[str, Any], expected: dict[str, str]) -> None:
    """Each field's rule is kept, and what breaks it is reported by the field's name."""
    assert expected == faults(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"PublisherProgramId": "x" * 25, "PublisherSystemId": "ä" * 25, "PublisherEventId": "😀" * 200},
        {"PublisherSystemId": " ", "PublisherParticipantId": "x" * 200},
        {"PublisherEventCategory": {"value": "x" * 200, "label": "x" * 400}},
        {"PublisherEventCategory": {"value": "_default", "label": ""}},
        {"PublisherEventCategory": None, "EventEndUtc": None},
        {"EventEndUtc": "2026-11-20T14:00:00Z"},
        {"EventEndUtc": "2026-11-20T16:00:00+02:00"},
        {"PublisherEventData": {}},
        {"EventStartUtc": "0001-01-01T00:00:00", "EventEndUtc": "9999-12-31T23:59:59.9999999"},
        *({"EventType": kind} for kind in get_args(EventType)),
    ],
)
def test_what_is_taken(changes: dict[str, Any]) -> None:
    """Lengths up to their limits, every type that is named, times up to the ends of the calendar are taken."""
    read(json.dumps(an_event_body(**changes)))


def test_all_fields_are_judged_at_once() -> None:
    """An empty body names every field that is required."""
    with pytest.raises(InvalidFields) as caught:
        read("{}")
    assert [error.field for error in caught.value.errors] == [
        "PublisherProgramId",
        "PublisherSystemId",
        "EventType",
        "PublisherEventId",
        "PublisherParticipantId",
        "PublisherEventData",
        "EventStartUtc",
    ]


def test_the_limit_of_data() -> None:
    """Data are measured in bytes as sent: what is at the limit is taken, one more is too large."""
    data = '{"a":"' + "ä" * 5 + '"}'
    body = json.dumps(an_event_body(PublisherEventData="@")).replace('"@"', data)

    assert len(read(body, limit=18).publisher_event_data) == 18
    with pytest.raises(TooLarge):
        read(body, limit=17)


@pytest.mark.parametrize("data", ["{}", '{ "b" : 1.30,\n\t"a":1e2, "a": -0.0, "\\u00e4\\/": "ä\\u2028" }'])
def test_data_are_kept_to_the_character(data: str) -> None:
    """Key order, spelling of numbers, repeated keys, escapes and spaces of the data stay as they were sent."""
    assert data.encode() == bytes(with_data(data).publisher_event_data)


def test_the_depth_of_data() -> None:
    """Data may be nested a hundred levels deep, themselves the first."""
    with_data('{"a":' * 100 + "1" + "}" * 100)
    with pytest.raises(InvalidFields, match="PublisherEventData"):
        with_data('{"a":' * 101 + "1" + "}" * 101)


SAME = [
    ('{"a": 1.30}', '{"a":1.3}'),
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
    ('{"a": 100}', '{"a": 1e2}'),
    ('{"a": 1.0}', '{"a": 1}'),
    ('{"a": "\\u00e4"}', '{"a": "ä"}'),
    ('{"a": 1, "a": 2}', '{"a": 2}'),
    ('{"a": -0.0}', '{"a": 0}'),
    ('{"a": 0.1000000000000000000000000000000000000000000000}', '{"a": 0.1}'),
]
DIFFERENT = [
    ('{"a": 1}', '{"a": "1"}'),
    ('{"a": 1}', '{"a": true}'),
    ('{"a": null}', "{}"),
    ('{"a": [1, 2]}', '{"a": [2, 1]}'),
    ('{"a": 0.1}', '{"a": 0.1000000000000000000000000000000000000000000001}'),
    ('{"a": 9007199254740993}', '{"a": 9007199254740992}'),
    ('{"a": "ä"}', '{"a": "a\\u0308"}'),
    ('{"a": 1e-400}', '{"a": 0}'),
]


@pytest.mark.parametrize(
    ("one", "other", "is_same"), [(*pair, True) for pair in SAME] + [(*p, False) for p in DIFFERENT]
)
def test_data_are_compared_as_json(one: str, other: str, is_same: bool) -> None:
    """Data are equal as JSON values, numbers as exact decimals, whatever their spelling."""
    assert is_same == (with_data(one).content_hash == with_data(other).content_hash)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4), st.integers(0, 6))
def test_numbers_are_decimals(number: Decimal, zeros: int) -> None:
    """Zeros at the end of a fraction make no difference; anything else does."""
    spelled = f"{number:f}"
    more = spelled + "0" * zeros if "." in spelled else spelled

    assert with_data(f'{{"a": {spelled}}}').content_hash == with_data(f'{{"a": {more}}}').content_hash
    assert with_data(f'{{"a": {spelled}}}').content_hash != with_data(f'{{"a": {number + 1:f}}}').content_hash


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-1439, 1439),
    st.integers(1, 10**6),
)
def test_times_are_instants(moment: datetime, minutes: int, microseconds: int) -> None:
    """The same instant with another offset is equal content; a microsecond more is not."""
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))
    later = moment + timedelta(microseconds=microseconds)

    def hash_of(start: datetime) -> bytes:
        return a_valid_event(EventStartUtc=start.isoformat(), EventEndUtc=None).content_hash

    assert hash_of(moment) == hash_of(there)
    assert hash_of(moment) != hash_of(later)


@pytest.mark.parametrize(
    "changes",
    [
        {"PublisherParticipantId": "someone.else@example.org"},
        {"PublisherParticipantId": "ROBIN.VALE@example.org"},
        {"PublisherEventCategory": None},
        {"PublisherEventCategory": {"value": "Online"}},
        {"PublisherEventCategory": {"value": "online", "label": "Online course"}},
        {"PublisherEventData": {}},
        {"EventStartUtc": "2026-11-20T14:00:00.000001Z"},
        {"EventEndUtc": None},
        {"EventEndUtc": "2026-11-20T14:00:00Z", "EventStartUtc": "2026-11-20T14:00:00Z"},
    ],
)
def test_every_other_field_is_content(changes: dict[str, Any]) -> None:
    """A change to any field outside the source key is another content."""
    assert a_valid_event().content_hash != a_valid_event(**changes).content_hash
    assert a_valid_event().source_key == a_valid_event(**changes).source_key


@pytest.mark.parametrize("field", ["PublisherProgramId", "PublisherSystemId", "PublisherEventId", "EventType"])
def test_the_source_key_is_no_content(field: str) -> None:
    """The four fields of the source key decide which source it is, and nothing about the content."""
    other = a_valid_event(**{field: "AI_STARTED"})

    assert a_valid_event().source_key != other.source_key
    assert a_valid_event().content_hash == other.content_hash


def test_null_and_missing_are_equal_content() -> None:
    """An optional field that is null is the same as one that is missing."""
    body = an_event_body(PublisherEventCategory={"value": "Online"}, EventEndUtc=None)
    spelled_out = body | {"PublisherEventCategory": {"value": "Online", "label": None}, "EventEndUtc": None}

    assert read(json.dumps(body)).content_hash == read(json.dumps(spelled_out)).content_hash


LATEST = LatestEntry(UUID(int=7), version=5, revision=3, content_hash=b"same", is_withdrawal=False)
WITHDRAWN = msgspec.structs.replace(LATEST, is_withdrawal=True)


@pytest.mark.parametrize(
    ("latest", "arrived", "expected"),
    [
        (None, b"same", Classification("new", 1, 1, None)),
        (LATEST, b"same", Classification("same")),
        (LATEST, b"other", Classification("revision", 6, 4, UUID(int=7))),
        (WITHDRAWN, b"same", Classification("revision", 6, 4, UUID(int=7))),
        (WITHDRAWN, b"other", Classification("revision", 6, 4, UUID(int=7))),
    ],
)
def test_an_event_is_new_the_same_or_the_next_revision(
    latest: LatestEntry | None, arrived: bytes, expected: Classification
) -> None:
    """An event is new, the same as the latest revision, or the next one, which it always is after a withdrawal."""
    assert expected == classify(latest, arrived)


def test_the_day_of_a_bucket_has_eight_digits() -> None:
    """A bucket's day has eight digits, in the year 212 as well, and LB in the middle whatever the system."""
    assert bucket("NURSES", date(2026, 11, 22)) == "NURSES-LB-20261122"
    assert bucket("A", date(212, 3, 4)) == "A-LB-02120304"


def test_the_program_of_a_bad_body() -> None:
    """The Program can be read from a body whose other fields are bad, unless it is bad itself."""
    assert program_named(read_object(b'{"PublisherProgramId": "NURSES", "EventType": 1}')) == "NURSES"
    assert program_named(read_object(b'{"PublisherProgramId": 1}')) is None
    assert program_named({}) is None
