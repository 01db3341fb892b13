"""Every declared field of an event is stored, read, filtered by and corrected, by whichever way it comes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from event_values import OPTIONAL, RECIPE, another_value, received, with_every_field, with_needed_fields
from feed_visibility import caught_up, reads_all
from running import RunningHub

from learning_hub.model.event import EVENT_FIELDS, FILTERS, Classification, Event
from learning_hub.model.feed import BEGINNING, FeedFilter
from learning_hub.model.ids import EventKey, new_uuid
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.store import events
from learning_hub.store.database import Database
from learning_hub.store.event_columns import COLUMNS
from learning_hub.store.events import Appended
from learning_hub.store.feed import read_feed

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
# What the hub assigns.
OWN_COLUMNS = {
    "event_uuid", "is_withdrawal", "epoch", "xid", "seq", "version", "revision", "supersedes", "content_hash",
    "created_utc", "event_date", "withdrawn_utc",
}  # fmt: skip


@pytest.fixture
async def nurses(database: Database) -> Database:
    """A database with the Program of the example."""
    program_id = with_every_field()["PublisherProgramId"]
    await database.execute("INSERT INTO program (program_id, name) VALUES ($1, 'Nurses')", program_id)
    return database


def is_read_as_sent(read: Event, sent: ReceivedEvent) -> bool:
    for field in EVENT_FIELDS:
        assert getattr(read, field.attribute) == getattr(sent, field.attribute), field.name
    return True


async def test_declared_columns_are_those_of_the_table(database: Database) -> None:
    """The table `event` has the declared columns with their types, those that the hub assigns, and no others."""
    rows = await database.fetch(
        "SELECT attname AS name, format_type(atttypid, NULL) AS pg_type, attnotnull AS is_needed FROM pg_attribute"
        " WHERE attrelid = 'event'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    types = {"timestamptz": "timestamp with time zone"}
    stored = {row["name"]: row for row in rows}
    for column, pg_type in COLUMNS.items():
        assert column in stored, f"Add the column {column} {pg_type} to schema.sql, and a migration; {RECIPE}."
        assert stored[column]["pg_type"] == types.get(pg_type, pg_type)
    assert set(stored) == OWN_COLUMNS | set(COLUMNS), "A column is neither declared in EVENT_FIELDS nor the hub's own."
    for field in EVENT_FIELDS:
        first = next(iter(field.columns))
        assert stored[first]["is_needed"] == (field.name not in OPTIONAL), (
            f"{first} is NOT NULL for needed fields only."
        )


@pytest.mark.parametrize("body", [with_every_field(), with_needed_fields()], ids=["every field", "needed fields"])
@pytest.mark.parametrize("way", ["append_first", "copy_first", "append_events"])
async def test_what_is_sent_is_stored(nurses: Database, way: str, body: dict[str, Any]) -> None:
    """Each way of storing keeps every field, and each way of reading gives it back; so does a withdrawal."""
    sent, event_uuid = received(body), new_uuid()
    key = EventKey(sent.publisher_program_id, event_uuid)
    await store(nurses, way, sent, event_uuid)
    await caught_up(nurses)

    by_key = await events.find_event(nurses, key)
    assert by_key
    assert is_read_as_sent(by_key, sent)
    for limit in (1, 2):
        for day in (None, by_key.created_utc.date()):
            part = await read_feed(nurses, FeedFilter(program_id=key.program_id, event_date=day), BEGINNING, limit)
            assert part.events == [by_key]
    (latest,) = await nurses.fetch("SELECT content_hash FROM event")
    assert latest["content_hash"] == sent.content_hash

    assert await events.append_withdrawal(nurses, key, NOW)
    await caught_up(nurses)
    part = await read_feed(nurses, FeedFilter(program_id=key.program_id), BEGINNING, 10)
    assert part.events == [by_key, msgspec.structs.replace(by_key, withdrawn_utc=NOW)]


async def store(database: Database, way: str, event: ReceivedEvent, event_uuid: UUID) -> None:
    if way == "append_first":
        assert not await events.append_first(database, {event_uuid: event}, NOW)
    elif way == "copy_first":
        assert await events.copy_first(database, event.publisher_program_id, {event_uuid: event}, NOW)
    else:
        new = Appended(event=event, event_uuid=event_uuid, classification=Classification("new"), created_utc=NOW)
        async with database.transaction() as connection:
            assert await events.append_events(connection, [new]) == {event_uuid}


@pytest.mark.parametrize("name", FILTERS)
async def test_each_filter_gives_the_events_with_that_value_alone(nurses: Database, name: str) -> None:
    """Each filter gives the events with that value alone, along whichever index the feed is read."""
    field = FILTERS[name]
    sent = received(with_every_field())
    changed = received(with_every_field(**{field.name: another_value(field)}))
    without = received(
        {key: value for key, value in with_every_field().items() if key != field.name or key not in OPTIONAL}
    )
    stored = {new_uuid(): sent, new_uuid(): changed}
    if field.name in OPTIONAL:
        stored[new_uuid()] = without
    classifications = [Classification("new"), Classification("revision", 2, 2, next(iter(stored)))]
    if field.role == "source key":
        classifications = [Classification("new")] * 2
    else:
        classifications.append(Classification("revision", 3, 3, next(iter(stored))))
    async with nurses.transaction() as connection:
        await events.append_events(
            connection,
            [
                Appended(event=event, event_uuid=event_uuid, classification=classification, created_utc=NOW)
                for (event_uuid, event), classification in zip(stored.items(), classifications, strict=False)
            ],
        )
    await caught_up(nurses)

    for event in (sent, changed):
        value = first_column(event, field.attribute)
        for others in (
            {},
            {"event_date": NOW.date()},
            {"publisher_participant_id": event.publisher_participant_id},
            {"publisher_event_id": event.publisher_event_id},
        ):
            spec = FeedFilter(
                program_id=event.publisher_program_id, **others, **{name: value} if name not in others else {}
            )
            part = await read_feed(nurses, spec, BEGINNING, 10)
            assert len(part.events) == 1, (name, others)
            assert is_read_as_sent(part.events[0], event)


def first_column(event: ReceivedEvent, attribute: str) -> Any:
    """The value that a filter of a field is compared with."""
    value = getattr(event, attribute)
    return msgspec.structs.astuple(value)[0] if isinstance(value, msgspec.Struct) else value


async def test_each_field_is_returned_found_and_compared_over_http(hub_without_worker: RunningHub) -> None:
    """Each field is returned as it was sent, its filter finds it, and another value of a content field is stored."""
    hub = hub_without_worker
    client = reads_all(hub.client, hub.database)
    await hub.make_program(with_every_field()["PublisherProgramId"])
    first = await post(client, with_every_field(), 201)
    assert first.items() >= with_every_field().items()
    for filter_, field in FILTERS.items():
        name = "".join(part.title() for part in filter_.split("_"))
        value = with_every_field()[field.name]
        query = {
            "ProgramId": first["PublisherProgramId"],
            name: next(iter(value.values())) if isinstance(value, dict) else value,
        }
        answer = await client.get("/events", params=query)
        assert [item | {"SupersededBy": None} for item in answer.json()["Items"]] == [first], answer.text
        answer = await client.get("/events", params=query | {name: "AI_REOPENED"})
        assert answer.json()["Items"] == [], answer.text

    for revision, field in enumerate([field for field in EVENT_FIELDS if field.role != "source key"], start=1):
        changed = with_every_field(**{field.name: another_value(field)})
        assert (await post(client, changed, 201))["Revision"] == 2 * revision, field.name
        assert (await post(client, changed, 200))["Revision"] == 2 * revision, field.name
        await post(client, with_every_field(), 201)


async def post(client: httpx.AsyncClient, body: dict[str, Any], status: int) -> dict[str, Any]:
    """Publish, and read what is stored then."""
    answer = await client.post("/events", json=body)
    assert answer.status_code == status, answer.text
    return dict((await client.get(answer.headers["Location"])).json())
