"""Subscriptions: from a body to a plan, and when they run."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from factories import a_stored_event, a_subscription_body, a_valid_event
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from learning_hub.deliver.preview import as_if_stored
from learning_hub.deliver.template_variables import template_variables
from learning_hub.model.cron import latest_tick, schedule_fault, ticks, time_zone_fault
from learning_hub.model.event import Classification
from learning_hub.model.json_values import read_json
from learning_hub.model.subscription import Subscription, SubscriptionBody
from learning_hub.model.subscription_draft import SubscriptionDraft
from learning_hub.presets import PRESETS
from learning_hub.services.panel_subscriptions import extended

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


FIELDS = [*a_subscription_body(), "Preset", "State", "StartFrom", "Schedule", "TimeZone"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def drafted(body: Any) -> SubscriptionDraft:
    fields = {name: Raw(msgspec.json.encode(value)) for name, value in body.items()}
    return SubscriptionDraft(fields, PRESETS)


def a_subscription(**changes: Any) -> Subscription:
    plan = drafted(a_subscription_body()).spec(None)
    values = {name: value for name, value in msgspec.structs.asdict(plan).items() if name != "templates_text"}
    there = Subscription(subscription_id="s", created_utc=AT, changed_utc=AT, archived_utc=None, **values)
    return msgspec.structs.replace(there, **changes)


def test_a_plan_describes_what_it_made() -> None:
    """The same body again describes the subscription it made; any other one does not."""
    there = a_subscription()
    assert drafted(a_subscription_body()).spec(there).describes(there)
    assert not drafted(a_subscription_body(Name="Other")).spec(there).describes(there)
    respelled = a_subscription_body(Templates={"_default": {"ActivityType": "TCLEARNING"}})
    assert not drafted(respelled).spec(there).describes(there)


def test_state_and_start_stay_unless_they_are_sent() -> None:
    """A body without State and StartFrom keeps those of a subscription in use; an archived one begins anew."""
    there = a_subscription(state="stopped", start_from="beginning")
    kept = drafted(a_subscription_body()).spec(there)
    anew = drafted(a_subscription_body()).spec(msgspec.structs.replace(there, archived_utc=AT))
    assert (kept.state, kept.start_from) == ("stopped", "beginning")
    assert (anew.state, anew.start_from) == ("started", "now")


def test_extending_a_template_keeps_every_other_field() -> None:
    """A PUT of the body that a panel's subscription is extended with leaves all as it is, but for the new keys."""
    there = a_subscription(
        publisher_system_id="LB",
        schedule="manual",
        time_zone="America/New_York",
        on_withdraw="remove",
        on_reopened="remove",
        state="stopped",
        start_from="beginning",
    )
    defaults = {field.name: field.default for field in msgspec.structs.fields(SubscriptionBody)}
    assert [name for name in defaults if getattr(there, name, None) == defaults[name]] == ["preset"]

    body, new = extended(there, {"Templates": {"_default": {"Grade": "{{ data.Grade }}"}}})
    spec = drafted(body).spec(there)

    assert new == ["Grade"]
    assert spec.templates["_default"] == there.templates["_default"] | {"Grade": "{{ data.Grade }}"}
    assert msgspec.structs.replace(spec, templates=there.templates).describes(there)


def test_null_is_left_out() -> None:
    """A field that is null counts as left out."""
    nothing = dict.fromkeys(("State", "StartFrom", "PublisherSystemId", "Preset"))
    assert drafted(a_subscription_body() | nothing).errors == []
    assert [error.field for error in drafted(a_subscription_body() | {"Target": None, "Templates": None}).errors] == [
        "Target",
        "Templates",
    ]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_body_is_judged(changes: dict[str, Any]) -> None:
    """Whatever stands in the fields, there is a plan or a list of errors, one of them for each field at fault."""
    draft = drafted(a_subscription_body() | changes)
    if not draft.errors:
        draft.spec(None)
    assert all(error.message for error in draft.errors)


@pytest.mark.parametrize("preset_id", sorted(PRESETS))
def test_a_preset_needs_only_where_and_whose(preset_id: str) -> None:
    """With a preset, subscriber and Program are enough."""
    body = {"Preset": preset_id, "SubscriberId": "imis", "ProgramId": "NURSES"}
    plan = drafted(body).spec(None)
    assert plan.templates == PRESETS[preset_id].templates
    assert read_json(plan.templates_text) == PRESETS[preset_id].templates


def test_a_preset_switches_no_error_off() -> None:
    """What was sent wrong stays an error though the preset has a value for it."""
    body = {
        "Preset": "topclass-imis-panel",
        "SubscriberId": "imis",
        "ProgramId": "P",
        "EventTypes": ["NEWS"],
        "Target": 1,
    }
    assert [error.field for error in drafted(body).errors] == ["EventTypes[0]", "Target"]


def test_whose_events_it_wants() -> None:
    """It wants its event types, of its system if it names one."""
    every = a_subscription()
    one = a_subscription(publisher_system_id="LB")
    assert every.wants("anything", "AI_COMP_SUCCESS")
    assert not every.wants("anything", "AI_STARTED")
    assert one.wants("LB", "AI_COMP_SUCCESS")
    assert not one.wants("TopClass", "AI_COMP_SUCCESS")


@pytest.mark.parametrize(
    ("changes", "is_realtime"),
    [
        ({}, True),
        ({"state": "stopped"}, False),
        ({"schedule": "manual"}, False),
        ({"schedule": "0 6 * * *"}, False),
        ({"archived_utc": AT}, False),
    ],
)
def test_when_deliveries_go_out_by_themselves(changes: dict[str, Any], is_realtime: bool) -> None:
    """Only those of a started realtime subscription in use do."""
    assert a_subscription(**changes).is_realtime is is_realtime


@pytest.mark.parametrize(
    "schedule", ["realtime", "manual", "* * * * *", "*/5 8-17 * * MON-FRI", "0 0 L * *", "0 0 29 2 *"]
)
def test_schedules_that_fit(schedule: str) -> None:
    """realtime, manual, and cron expressions of five fields are schedules."""
    assert schedule_fault(schedule) is None


@pytest.mark.parametrize(
    "schedule", ["", "REALTIME", "@daily", "* * * *", "* * * * * *", "61 * * * *", "é * * * *", "0 0 31 2 *"]
)
def test_schedules_that_do_not_fit(schedule: str) -> None:
    """Anything else is none, an expression that never comes included."""
    assert schedule_fault(schedule)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("0 0 30 2 *", "can never be due"),
        ("0 0 31 2,4,6 *", "can never be due"),
        ("@hourly", "with five fields: 0 * * * *"),
        (" @Daily", "with five fields: 0 0 * * *"),
        ("@reboot", "of five fields"),
        ("* * * *", "minute, hour, day of the month, month and day of the week"),
        ("0 0 32 2 *", "of five fields such as"),
        ("0 0 30 13 *", "of five fields such as"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told(schedule: str, words: str) -> None:
    """A day that never comes, a name in place of five fields, and too few of them are told apart."""
    assert words in (schedule_fault(schedule) or "")


@given(st.text())
def test_any_schedule_and_zone_is_judged(text: str) -> None:
    """Whatever stands there, the answer is a sentence or none."""
    schedule_fault(text)
    time_zone_fault(text)


def test_cron_follows_the_clocks_of_its_zone() -> None:
    """Six in the morning in New York is another time in UTC after the clocks change; no day has it twice."""
    begin = datetime(2026, 10, 30, tzinfo=UTC)
    found = list(islice(ticks("0 6 * * *", "America/New_York", begin), 4))
    assert [moment.hour for moment in found] == [10, 10, 11, 11]
    assert all(later - earlier >= timedelta(hours=24) for earlier, later in pairwise(found))


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("schedule", "day", "expected"),
    [
        # The clocks go from two to three: what they leave out comes right after.
        ("30 2 * * *", date(2026, 3, 8), ["07:00"]),
        ("0 * * * *", date(2026, 3, 8), ["06:00", "07:00", "08:00"]),
        # They go from two back to one: once, unless the expression has a * for its hours or minutes.
        ("30 1 * * *", date(2026, 11, 1), ["05:30"]),
        ("30 * * * *", date(2026, 11, 1), ["04:30", "05:30", "06:30", "07:30"]),
    ],
)
def test_cron_when_the_clocks_change(schedule: str, day: date, expected: list[str]) -> None:
    """A time that the clocks leave out comes after the gap, and one that they show twice comes once."""
    begin = datetime.combine(day, time(), ZoneInfo(NEW_YORK)).astimezone(UTC)
    found = [moment for moment in islice(ticks(schedule, NEW_YORK, begin), 5) if moment - begin < timedelta(hours=4)]
    assert [f"{moment:%H:%M}" for moment in found] == expected


@given(
    st.sampled_from(["30 1 * * *", "30 2 * * *", "*/15 * * * *", "15 */2 * * *", "45 1-3 * * *", "0 0 1 * *"]),
    st.sampled_from(["UTC", NEW_YORK, "Europe/London", "Australia/Lord_Howe"]),
    st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 4), date(2026, 10, 3), date(2026, 11, 1)]),
    st.integers(-300, 2000),
    st.integers(1, 50_000),
)
def test_the_last_time_that_came(schedule: str, zone: str, day: date, at_minutes: int, back_minutes: int) -> None:
    """The latest tick is the last of the ticks of that stretch, wherever it begins and ends."""
    until = datetime.combine(day, time(), UTC) + timedelta(minutes=at_minutes)
    after = until - timedelta(minutes=back_minutes)
    far_before = takewhile(lambda tick: tick <= until, ticks(schedule, zone, until - timedelta(days=40)))
    expected = [tick for tick in far_before if tick > after]
    assert latest_tick(schedule, zone, after, until) == (expected[-1] if expected else None)


def test_times_missed_for_long_are_found_soon() -> None:
    """Of an expression that came every minute for ten years the last time is found at once, of a rare one as well."""
    until = datetime(2036, 7, 1, tzinfo=UTC)
    ten_years_ago = datetime(2026, 7, 1, tzinfo=UTC)
    began = perf_counter()
    assert latest_tick("* * * * *", "UTC", ten_years_ago, until) == until
    assert latest_tick("0 0 29 2 *", "UTC", ten_years_ago, until) == datetime(2036, 2, 29, tzinfo=UTC)
    assert latest_tick("* * 29 2 *", "UTC", ten_years_ago, until) == datetime(2036, 2, 29, 23, 59, tzinfo=UTC)
    assert perf_counter() - began < 2


def test_a_template_sees_every_field_of_an_event() -> None:
    """The scope has the event under the names of the API, its data as spelled, and who is concerned."""
    event = a_stored_event(publisher_event_data=Raw(b'{"Credits":1.30}'))

    raw = template_variables(event, a_subscription(), "Nurses", "10042")

    assert b'"Credits":1.30' in raw
    scope = read_json(raw)
    assert scope["event"]["EventId"] == event.event_id
    assert scope["event"]["EventStartUtc"] == "2026-11-20T14:00:00Z"
    assert scope["event"]["WithdrawnUtc"] is None
    assert scope["participant"] == {"Id": "10042"}
    assert scope["subscription"] == {"Id": "s", "Name": "Completions to iMIS"}
    assert scope["program"] == {"Id": "NURSES", "Name": "Nurses"}


def test_an_event_reads_as_if_it_were_stored() -> None:
    """An unstored event gets the fields that the hub assigns."""
    event = as_if_stored(a_valid_event(), Classification("new"), AT)
    assert event.event_id.startswith("E:NURSES-")
    assert (event.event_date_bucket, event.revision, event.supersedes) == ("NURSES-LB-20261122", 1, None)
    assert msgspec.json.decode(msgspec.json.encode(event))["PublisherEventData"]["Activity Code"] == "FIRE-201"
