"""Every field of an event is declared once, and everything that must know it does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from event_values import KINDS, OPTIONAL, RECIPE, another_value, received, with_every_field, with_needed_fields
from factories import a_subscription_body
from msgspec import Raw

from learning_hub.api.event_examples import EXAMPLE_BODY, EXAMPLE_EVENT
from learning_hub.deliver.preview import as_if_stored
from learning_hub.deliver.template_variables import template_variables
from learning_hub.model.event import (
    EVENT_FIELDS,
    FILTERS,
    REOPENED,
    Classification,
    Event,
    EventField,
    EventType,
    FieldFilters,
    LatestEntry,
    NewEvent,
    classify,
)
from learning_hub.model.feed import FeedFilter
from learning_hub.model.fields import bare, read_object
from learning_hub.model.json_values import read_json
from learning_hub.model.received_event import read_event, read_event_fast
from learning_hub.model.subscription import Subscription
from learning_hub.model.subscription_draft import SubscriptionDraft
from learning_hub.presets import PRESETS
from learning_hub.services.feed import FeedQuery
from learning_hub.store.event_columns import event_arrays, event_columns, event_filters

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
CONTENT = [field for field in EVENT_FIELDS if field.role != "source key"]

every_field = pytest.mark.parametrize("field", EVENT_FIELDS, ids=lambda field: str(field.attribute))
every_content_field = pytest.mark.parametrize("field", CONTENT, ids=lambda field: str(field.attribute))
every_filter = pytest.mark.parametrize("name", FILTERS)

# What publishers sent, and the content hashes that were stored for it.
STORED_HASHES = {
    (
        '{"PublisherProgramId": "NURSES", "PublisherSystemId": "TopClass", "EventType": "AI_COMP_SUCCESS",'
        ' "PublisherEventId": "AI:1234", "PublisherParticipantId": "robin.vale@example.org",'
        ' "PublisherEventCategory": {"value": "Online", "label": "Online course"},'
        ' "PublisherEventData": {"Credits": 1.30, "Activity Code": "FIRE-201", "Passed": true,'
        ' "Parts": [1, 2e3, null]},'
        ' "EventStartUtc": "2026-11-20T14:00:00Z", "EventEndUtc": "2026-11-20T17:20:00.123456+02:00"}'
    ): "2d751bc0f8980062229b4b258a774e1edb5499a943a72ff835b486bf1063881c",
    (
        '{"PublisherProgramId": "NURSES", "PublisherSystemId": "TopClass", "EventType": "AI_COMP_SUCCESS",'
        ' "PublisherEventId": "AI:1234", "PublisherParticipantId": "robin.vale@example.org",'
        ' "PublisherEventData": {}, "EventStartUtc": "2026-11-20T14:00:00Z"}'
    ): "00472e36d27f1d806cca08e073d7a328605dad34fed93eac235323a387e2471b",
    (
        '{"PublisherProgramId": "A", "PublisherSystemId": "LB", "EventType": "LPI_STARTED", "PublisherEventId": "7",'
        ' "PublisherParticipantId": "Ä\\u00e4", "PublisherEventCategory": {"value": "x"},'
        ' "PublisherEventData": {"b": -0.0, "a": 12345678901234567890, "a": "é"},'
        ' "EventStartUtc": "0001-01-01T00:00:00", "EventEndUtc": "9999-12-31T23:59:59.9999999Z"}'
    ): "2449e30f02d86faf23fc984fb7de81e2058bd9afa177c275715e7ec56e849f9e",
}


def fields_of(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def test_every_field_that_publishers_send_is_declared() -> None:
    """EVENT_FIELDS declares each field of NewEvent once, in the same order, and no other."""
    declared = [field.attribute for field in EVENT_FIELDS]
    for name in fields_of(NewEvent):
        assert name in declared, (
            f"NewEvent.{name} would be taken and not stored: declare it in EVENT_FIELDS of model/event.py; {RECIPE}."
        )
    assert declared == list(fields_of(NewEvent)), "EVENT_FIELDS and NewEvent must name the same fields in one order."


@every_field
def test_an_event_has_every_field(field: EventField) -> None:
    """What a publisher sends can be read under the same name, and has a value of the same type."""
    read = fields_of(Event).get(field.attribute)
    assert read, f"{field.name} would be stored and not returned: add it to Event in model/event.py; {RECIPE}."
    assert read.encode_name == field.name
    assert bare(read.type) == KINDS[field.attribute]
    assert read.required, f"{field.name} must be in every event that is returned, null where it was not sent."


@every_field
def test_the_example_has_every_field(field: EventField) -> None:
    """The example of the API has a value for each field, by which the tests here go as well."""
    assert EXAMPLE_BODY.get(field.name) is not None, f"Give {field.name} a value in EXAMPLE_BODY; {RECIPE}."
    assert EXAMPLE_EVENT[field.name] == EXAMPLE_BODY[field.name]


def test_the_example_is_valid() -> None:
    """The example of a body can be published, and the example of an event is what is read then."""
    event = as_if_stored(received(EXAMPLE_BODY), Classification("new"), NOW)
    assert list(read_json(msgspec.json.encode(event))) == list(EXAMPLE_EVENT)


@pytest.mark.parametrize(("body", "stored"), STORED_HASHES.items())
def test_stored_hashes_stay_what_they_are(body: str, stored: str) -> None:
    """What was sent before has the hash that was stored for it, so that a history sent again is the same."""
    by_fields = read_event(read_object(body.encode()), max_data_bytes=1_000)
    assert by_fields.content_hash.hex() == stored
    assert by_fields == read_event_fast(body.encode(), max_data_bytes=1_000)


def test_no_part_is_added_to_stored_hashes() -> None:
    """The fields hashed by position are those of the first release; every later one is optional and added content."""
    first = [field.attribute for field in EVENT_FIELDS if field.role == "content"]
    assert first == [
        "publisher_participant_id",
        "publisher_event_category",
        "publisher_event_data",
        "event_start_utc",
        "event_end_utc",
    ], f"Every stored hash would change: a field added now has the role “added content”; {RECIPE}."
    for field in EVENT_FIELDS:
        if field.role == "added content":
            assert field.name in OPTIONAL, f"{field.name} must be optional: events without it are stored."


def test_the_source_key_is_that_of_the_first_release() -> None:
    """A source key has four fields, by which stored events are found."""
    assert [field.attribute for field in EVENT_FIELDS if field.role == "source key"] == [
        "publisher_program_id",
        "publisher_system_id",
        "event_type",
        "publisher_event_id",
    ]


@every_content_field
def test_another_value_is_a_revision(field: EventField) -> None:
    """An event of which one content field alone has another value, or none, is a revision of the one before."""
    event = received(with_every_field())
    bodies = [with_every_field(**{field.name: another_value(field)})]
    if field.name in OPTIONAL:
        bodies.append({name: value for name, value in with_every_field().items() if name != field.name})
    latest = LatestEntry(UUID(int=1), 1, 1, event.content_hash, is_withdrawal=False)

    assert classify(latest, received(with_every_field()).content_hash).would_be == "same"
    for body in bodies:
        changed = received(body)
        assert changed.source_key == event.source_key
        assert classify(latest, changed.content_hash).would_be == "revision", f"{field.name} is no part of the hash."
        assert changed == read_event_fast(msgspec.json.encode(body), max_data_bytes=10_000)


def test_two_optional_fields_are_never_taken_for_each_other() -> None:
    """Each set of optional fields has a hash of its own."""
    optional = [field.name for field in CONTENT if field.name in OPTIONAL]
    hashes = set()
    for chosen in range(2 ** len(optional)):
        left_out = {name for number, name in enumerate(optional) if not chosen >> number & 1}
        body = {name: value for name, value in with_every_field().items() if name not in left_out}
        hashes.add(received(body).content_hash)
    assert len(hashes) == 2 ** len(optional)


@pytest.mark.parametrize("field", [field for field in EVENT_FIELDS if field.role == "source key"], ids=str)
def test_another_source_is_no_other_content(field: EventField) -> None:
    """A field of the source key decides which event it is, and nothing about the content."""
    event, other = received(with_every_field()), received(with_every_field(**{field.name: another_value(field)}))
    assert event.source_key != other.source_key
    assert event.content_hash == other.content_hash


@pytest.mark.parametrize("body", [with_every_field(), with_needed_fields()], ids=["every field", "needed fields"])
def test_an_event_as_if_stored_has_every_field(body: dict[str, Any]) -> None:
    """What ValidateOnly and previews render is the event as it would be read, null where a field was not sent."""
    event = received(body)
    stored = as_if_stored(event, Classification("new"), NOW)
    for field in EVENT_FIELDS:
        assert getattr(stored, field.attribute) == getattr(event, field.attribute), field.name
        assert (getattr(stored, field.attribute) is None) == (field.name not in body), (
            f"{field.name} is lost in _received_event of model/received_event.py; {RECIPE}."
        )


@pytest.mark.parametrize("body", [with_every_field(), with_needed_fields()], ids=["every field", "needed fields"])
def test_a_template_has_every_field(body: dict[str, Any]) -> None:
    """Every field of an event is a variable of its template under the name of the API, null where it was not sent."""
    fields = {name: Raw(msgspec.json.encode(value)) for name, value in a_subscription_body().items()}
    spec = {**msgspec.structs.asdict(SubscriptionDraft(fields, PRESETS).spec(None))}
    del spec["templates_text"]
    subscription = Subscription(subscription_id="s", created_utc=NOW, changed_utc=NOW, archived_utc=None, **spec)
    event = as_if_stored(received(body), Classification("new"), NOW)

    variables = json.loads(template_variables(event, subscription, "Nurses", None))["event"]
    assert variables == json.loads(msgspec.json.encode(event)) | {"WithdrawnUtc": None}


@every_filter
def test_a_filter_can_be_asked_for(name: str) -> None:
    """Each filter is a parameter of the feed over HTTP, and of the store."""
    assert name in fields_of(FieldFilters), f"Add the filter {name} to FieldFilters in model/event.py; {RECIPE}."
    for struct in (FeedQuery, FeedFilter):
        assert fields_of(struct)[name].default is None


def test_every_filter_is_declared() -> None:
    """Each filter is that of a declared field: one that is not would leave nothing out."""
    assert set(fields_of(FieldFilters)) == set(FILTERS), f"Name the filter in EVENT_FIELDS; {RECIPE}."


@every_field
def test_a_field_has_a_column_for_each_part(field: EventField) -> None:
    """A field has one column, and one that is a Struct has one for each field of the Struct."""
    kind = KINDS[field.attribute]
    parts = len(fields_of(kind)) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else 1
    assert len(field.columns) == parts


def test_lists_for_sql() -> None:
    """The lists that queries name by placeholders have the declared columns in one order."""
    columns = event_columns().split(", ")
    assert columns == [column for field in EVENT_FIELDS for column in field.columns]
    assert event_arrays(4).startswith("$4::text[], $5::text[], ")
    assert len(event_arrays(4).split(", ")) == len(columns)
    assert event_filters(13).startswith("($13::text IS NULL OR publisher_system_id = $13::text) AND ($14::text IS NULL")


def test_reopened_types_are_event_types() -> None:
    """The types that take back an earlier success are types of events."""
    assert set(get_args(EventType)) > REOPENED
