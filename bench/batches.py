"""Publishing many events a request, compared with PostgreSQL's bulk load of the same rows into the same table."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from bench import programs, server
from bench.alternation import measure_alternately
from bench.events import EVENT, EVENT_START, a_post, bodies
from bench.load import requests_per_second
from bench.results import Results
from bench.setting_up import make_program
from learning_hub.model.ids import new_uuid

EVENTS = 10_000


class Batches:
    """A hub and its database."""

    def __init__(self, database_url: str, hub: programs.Running) -> None:
        self._database_url = database_url
        self._hub = hub

    async def round(self, results: Results) -> None:
        """Load batches of the largest size in both ways."""
        copied, published = await measure_alternately(self._copied_per_second, self._published_per_second)
        results.ratios["publish_batch_vs_copy"].append(published / copied)
        results.figures["publish_batch_per_second"].append(published)
        results.figures["copy_per_second"].append(copied)

    async def _published_per_second(self) -> float:
        lines = b"\n".join(itertools.islice(bodies(), EVENTS))
        request = a_post("/events/batch", lines, kind="application/x-ndjson")
        return EVENTS * await requests_per_second(self._hub.address, [request], connections=1, expected=b"200")

    async def _copied_per_second(self) -> float:
        rows = list(_rows())
        columns = list(rows[0])
        records = [tuple(row.values()) for row in rows]
        connection = await asyncpg.connect(self._database_url)
        try:
            began = time.perf_counter()
            await connection.copy_records_to_table("event", records=records, columns=columns)
            return EVENTS / (time.perf_counter() - began)
        finally:
            await connection.close()


@asynccontextmanager
async def batches(home: Path) -> AsyncIterator[Batches]:
    """The batches, on their own server under *home*."""
    async with server.database(home) as database:
        with programs.hub(database.address, "--no-worker") as hub:
            make_program(hub.address)
            yield Batches(database.address, hub)


def _rows() -> list[dict[str, Any]]:
    """The rows that the hub stores for the same number of events."""
    run, now = uuid.uuid4().hex, datetime.now(UTC)
    same = {
        "program_id": "BENCH",
        "epoch": 1,
        "publisher_system_id": EVENT["PublisherSystemId"],
        "event_type": EVENT["EventType"],
        "version": 1,
        "revision": 1,
        "publisher_participant_id": EVENT["PublisherParticipantId"],
        "category_value": EVENT["PublisherEventCategory"]["value"],
        "category_label": EVENT["PublisherEventCategory"]["label"],
        "data": json.dumps(EVENT["PublisherEventData"]),
        "event_start_utc": EVENT_START,
        "created_utc": now,
        "event_date": now.date(),
    }
    return [
        same
        | {"event_uuid": new_uuid(), "publisher_event_id": f"{run}:{number}", "content_hash": uuid.uuid4().bytes * 2}
        for number in range(EVENTS)
    ]
