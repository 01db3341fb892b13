"""A hub on tables that were cut into hash partitions by Program (bench/partitions.sql) when they had rows already."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest
from factories import an_event_body
from feed_visibility import reads_all
from imis_hub import ImisHub
from msgspec.structs import replace
from running import eventually, running_hub

from bench.partitions import cut, partitions_read
from learning_hub.publish.writer import COPIED_FROM
from learning_hub.sandbox import RunningSandbox
from learning_hub.settings import Settings
from learning_hub.store import deliveries, events, feed
from learning_hub.store.database import Database

PARTITIONS = 4
MANY = 3 * COPIED_FROM
CHANGED = {"Activity Code": "FIRE-202", "Activity Title": "Fire safety refresher", "Credits": 2}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, retry_seconds=(0.1, 0.1), settle_seconds=0.3)


@pytest.fixture
async def cut_hub(settings: Settings, database: Database, imis: RunningSandbox) -> AsyncIterator[ImisHub]:
    """A hub that was stopped, cut, and started again; one event was delivered before."""
    async with running_hub(settings, database) as before:
        imis_hub = ImisHub(before, imis)
        await imis_hub.set_up()
        await imis_hub.delivered(await imis_hub.publish(PublisherEventId="AI:before"))
    await asyncio.to_thread(cut, str(settings.database_url), PARTITIONS)
    async with running_hub(settings, database) as after:
        yield ImisHub(after, imis)


async def test_everything_goes_on(cut_hub: ImisHub, database: Database) -> None:
    """Events from before and new ones are read, repeated, revised, sent and put back as on whole tables."""
    client = reads_all(cut_hub.client, database)
    assert await database.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass") == PARTITIONS
    again = an_event_body(PublisherEventId="AI:before")
    assert (await client.post("/events", json=again)).status_code == 200
    await cut_hub.delivered(await cut_hub.publish(PublisherEventId="AI:before", PublisherEventData=CHANGED))
    await cut_hub.delivered(await cut_hub.publish(PublisherEventId="AI:new"))
    assert len(await cut_hub.activities()) == 2

    parked = await cut_hub.publish(PublisherEventId="AI:parked", PublisherParticipantId="nobody@example.org")
    (delivery,) = await eventually(
        lambda: cut_hub.deliveries_of(parked), until=lambda found: bool(found) and found[0]["State"] == "parked"
    )
    body = {"SubscriberParticipantId": "10042"}
    settled = await client.put("/subscribers/imis/participants/nobody@example.org?ProgramId=NURSES", json=body)
    assert settled.status_code in (200, 201), settled.text
    await cut_hub.delivered(parked)
    assert len(await cut_hub.activities()) == 3

    await cut_hub.hub.make_program("DOCTORS")
    batch = [an_event_body(PublisherProgramId="DOCTORS", PublisherEventId=f"AI:{number}") for number in range(MANY)]
    answer = await client.post("/events/batch", json=batch)
    assert {result["Status"] for result in answer.json()["Results"]} == {201}
    entries = (await client.get("/events?ProgramId=NURSES")).json()["Items"]
    assert [entry["PublisherEventId"] for entry in entries] == ["AI:before", "AI:before", "AI:new", "AI:parked"]
    assert len((await client.get(f"/events?ProgramId=DOCTORS&Limit={MANY}")).json()["Items"]) == MANY
    assert delivery["Code"] == "participant_not_found"


async def test_cut_tables_are_known_to_the_planner_and_not_cut_again(cut_hub: ImisHub, database: Database) -> None:
    """The server has statistics of the whole tables, which it never gathers by itself; a second cut changes nothing."""
    tables = "relkind = 'p' AND relnamespace = current_schema()::regnamespace"
    known = await database.fetch(f"SELECT relname FROM pg_class WHERE {tables} AND reltuples >= 0 ORDER BY relname")
    assert [row["relname"] for row in known] == ["attempt", "delivery", "event", "idempotency_key", "run_delivery"]

    with pytest.raises(subprocess.CalledProcessError):
        await asyncio.to_thread(cut, str(cut_hub.hub.settings.database_url), PARTITIONS)
    assert await database.fetchval("SELECT count(*) FROM event") == 1


async def test_look_ups_read_one_partition(cut_hub: ImisHub, database: Database) -> None:
    """Whatever names its Program is answered from the one partition that the Program is in."""
    there = await database.fetchrow("SELECT event_uuid FROM event")
    row = await database.fetchrow("SELECT delivery_uuid FROM delivery")
    assert there
    assert row
    asked: list[tuple[str, str, tuple[Any, ...]]] = [
        ("event", feed.queries.full_page_of_feed, ("NURSES", 0, 0, 0, 100)),
        ("event", events.queries.find_event, ("NURSES", there["event_uuid"])),
        ("event", events.queries.latest_entries, (["NURSES"], ["AI:before"], ["TopClass"], ["AI_COMP_SUCCESS"])),
        ("delivery", deliveries.queries.find, ("NURSES", row["delivery_uuid"])),
        ("attempt", deliveries.queries.attempts, ("NURSES", row["delivery_uuid"])),
    ]
    for table, query, values in asked:
        assert len(await partitions_read(database, table, query, *values)) == 1, query
