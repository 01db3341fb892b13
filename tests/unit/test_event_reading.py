"""The fast path of reading an event, beside the reader that finds every fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import an_event_body
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.errors import InvalidFields, LearningHubError
from learning_hub.model.fields import read_object
from learning_hub.model.received_event import ReceivedEvent, read_event, read_event_fast

MOST = 2_000
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.sampled_from(
        ["2026-11-20T14:00:00Z", "2026-11-20T14:00:00.1234567+02:00", "2026-11-20 14:00", "2016-12-31T23:59:60Z"]
    ),
    st.dictionaries(st.sampled_from(["value", "label", "x"]), st.one_of(st.none(), st.text(max_size=5)), max_size=3),
    st.lists(st.integers(), max_size=2),
)


def by_fields(body: bytes) -> ReceivedEvent | None:
    try:
        return read_event(read_object(body), max_data_bytes=MOST)
    except LearningHubError:
        return None


@given(st.dictionaries(st.sampled_from([*an_event_body(), "EventEndUtc", "Other"]), VALUES, max_size=3), st.booleans())
def test_both_ways_read_the_same(changes: dict[str, Any], escaped: bool) -> None:
    """Whatever the fast path reads, the other reader reads as well; both read what a usual publisher sends."""
    body = json.dumps(an_event_body(**changes), ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    quick = read_event_fast(body, max_data_bytes=MOST)

    assert quick is None or quick == by_fields(body)
    if not changes:
        assert quick is not None


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'{"a": 1e400}',
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": "' + b"x" * MOST + b'"}',
        b"[1]",
        b"null",
        b'"text"',
    ],
)
def test_nothing_slips_through(data: bytes) -> None:
    """What may not be stored is left to the way that says what is wrong with it."""
    body = json.dumps(an_event_body(PublisherEventData="DATA")).encode().replace(b'"DATA"', data)
    assert read_event_fast(body, max_data_bytes=MOST) is None
    with pytest.raises(LearningHubError):
        read_event(read_object(body), max_data_bytes=MOST)


@pytest.mark.parametrize(
    "change", [{"PublisherEventId": "a\0b"}, {"EventEndUtc": "2001-01-01T00:00:00Z"}, {"EventType": "X"}, {"Other": 1}]
)
def test_faults_of_fields_are_left_to_the_other_way(change: dict[str, Any]) -> None:
    """A field that is wrong or unknown is named by the way that names all of them."""
    body = json.dumps(an_event_body(**change)).encode()
    assert read_event_fast(body, max_data_bytes=MOST) is None
    with pytest.raises(InvalidFields):
        read_event(read_object(body), max_data_bytes=MOST)


def test_of_a_repeated_key_the_last_counts() -> None:
    """By either way, for fields of the event and for those of its category."""
    body = json.dumps(an_event_body(PublisherEventId="last", PublisherEventCategory={"value": "last"})).encode()
    doubled = body.replace(b'"PublisherEventId"', b'"PublisherEventId": "first", "PublisherEventId"').replace(
        b'{"value"', b'{"value": "first", "value"'
    )
    quick = read_event_fast(doubled, max_data_bytes=MOST)
    assert quick is not None
    assert quick == by_fields(doubled) == by_fields(body)
