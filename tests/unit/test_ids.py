"""Ids are time-ordered, have one form, and are read strictly."""

from __future__ import annotations

from datetime import date
from uuid import RFC_4122, UUID

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from learning_hub.model.ids import (
    DeliveryKey,
    EventKey,
    delivery_id,
    event_id,
    is_id,
    new_uuid,
    read_bucket,
    read_delivery_id,
    read_event_id,
)
from learning_hub.model.record_key import record_key

PROGRAMS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,24}", fullmatch=True)
SOME = UUID("0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61")


def test_uuids_are_version_7() -> None:
    """Every new UUID has version 7 and the variant of RFC 9562, and no two are equal."""
    made = [new_uuid() for _ in range(1000)]

    assert {(7, RFC_4122)} == {(uuid.version, uuid.variant) for uuid in made}
    assert len(set(made)) == 1000


def test_uuids_are_ordered_by_time() -> None:
    """A UUID begins with the milliseconds of its making, so that later ones sort after earlier ones."""
    made = []
    for second in (0, 1, 60, 3600):
        with time_machine.travel(1_795_000_000 + second, tick=False):
            made.append(new_uuid())

    assert made == sorted(made)
    assert made[0].int >> 80 == 1_795_000_000_000


@given(PROGRAMS, st.uuids())
def test_ids_are_read_back(program: str, uuid: UUID) -> None:
    """The Program and the UUID can be read from an EventId and a DeliveryId, however many hyphens a Program has."""
    assert EventKey(program, uuid) == read_event_id(event_id(program, uuid))
    assert DeliveryKey(program, uuid) == read_delivery_id(delivery_id(program, uuid))
    assert event_id(program, uuid) == str(EventKey(program, uuid))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "E:",
        f"NURSES-{SOME}",
        f"e:NURSES-{SOME}",
        f"E:NURSES-{str(SOME).upper()}",
        f"E:NURSES-{SOME}\n",
        f"\nE:NURSES-{SOME}",
        f"E:-{SOME}",
        f"E:_A-{SOME}",
        f"E:{'A' * 26}-{SOME}",
        f"E:NUR SES-{SOME}",
        f"E:NURSES-{SOME.hex}",
        f"E:NURSES-{{{SOME}}}",
        f"E:NURSES-{SOME}0",
        f"E:N\0-{SOME}",
        f"E:NÜRSES-{SOME}",
        "E:NURSES-\u0660192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61",
    ],
)
def test_other_texts_are_no_event_ids(text: str) -> None:
    """Nothing but the one form is an EventId: no upper case, no line feed at its end, no digit of another script."""
    assert read_event_id(text) is None


@pytest.mark.parametrize("text", ["A", "9", "a.b-c_d", "NURSES", "A" * 25, "0..."])
def test_a_program_id_has_1_to_25_allowed_characters(text: str) -> None:
    """A ProgramId has 1 to 25 of the characters allowed and begins with a letter or digit."""
    assert is_id(text)


@pytest.mark.parametrize(
    "text", ["", "A" * 26, "_A", ".A", "-A", "A B", "A\n", "\nA", "A\0", "Ä", "A/B", "A:B", "*", "\u0663"]
)
def test_no_program_ids(text: str) -> None:
    """Anything else is none, with a line feed at its end neither."""
    assert not is_id(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NURSES-LB-20261122", ("NURSES", date(2026, 11, 22))),
        ("A-LB-20260101-LB-00010101", ("A-LB-20260101", date(1, 1, 1))),
        ("NURSES-LB-20240229", ("NURSES", date(2024, 2, 29))),
        ("NURSES-LB-20230229", None),
        ("NURSES-LB-00000101", None),
        ("NURSES-LB-20261301", None),
        ("NURSES-LB-2026112", None),
        ("NURSES-LB-20261122\n", None),
        ("NURSES-lb-20261122", None),
        ("NURSES-TC-20261122", None),
        ("-LB-20261122", None),
        ("", None),
        ("NURSES-LB-\uff12\uff10261122", None),
    ],
)
def test_a_bucket_names_a_program_and_an_existing_day(text: str, expected: tuple[str, date] | None) -> None:
    """A bucket names a Program and a day that exists."""
    assert expected == read_bucket(text)


@given(st.tuples(*[st.text(max_size=8)] * 4), st.tuples(*[st.text(max_size=8)] * 4))
def test_a_record_key_depends_on_source_record_and_subscription_alone(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    """A record key has 36 characters and is the same for the same source record and subscription alone."""
    assert len(record_key(*one)) == 36
    assert (one == other) == (record_key(*one) == record_key(*other))
