"""Following the feed over HTTP, compared with reading the same rows by SQL."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from bench import programs, server
from bench.alternation import measure_alternately
from bench.events import a_get
from bench.filling import fill_events
from bench.load import ask
from bench.results import Results
from bench.setting_up import make_key
from learning_hub.model.feed import BEGINNING, END, FeedFilter, Position
from learning_hub.store.feed import parameters, queries

EVENTS = 20_000
PAGE = 1_000


class Reading:
    """A hub with events to read."""

    def __init__(self, database_url: str, hub: programs.Running) -> None:
        self._database_url = database_url
        self._hub = hub
        self._key = make_key(hub.address, "read")

    async def round(self, results: Results) -> None:
        """Read the whole feed in both ways, page by page."""
        by_sql, by_http = await measure_alternately(self._by_sql, self._by_http)
        results.ratios["feed_read_vs_sql"].append(by_http / by_sql)
        results.figures["feed_read_per_second"].append(by_http)
        results.figures["feed_read_by_sql_per_second"].append(by_sql)

    async def _by_http(self) -> float:
        began = time.perf_counter()
        pages, cursor = [], ""
        for _ in range(EVENTS // PAGE):
            request = a_get(f"/events?ProgramId=BENCH&Limit={PAGE}{cursor}", key=self._key)
            pages.append(await ask(self._hub.address, request))
            cursor = "&Cursor=" + json.loads(pages[-1][pages[-1].rindex(b'"NextCursor":') + 13 : -1])
        seconds = time.perf_counter() - began
        assert sum(len(json.loads(page)["Items"]) for page in pages) == EVENTS
        return EVENTS / seconds

    async def _by_sql(self) -> float:
        connection = await asyncpg.connect(self._database_url)
        try:
            began = time.perf_counter()
            count, after, horizon = 0, BEGINNING, END
            everything = FeedFilter(program_id="BENCH")
            while count < EVENTS:
                rows = await connection.fetch(queries.read_feed, *parameters(everything, after, horizon, PAGE, PAGE))
                count += len(rows)
                after = Position(rows[-1]["epoch"], rows[-1]["xid"], rows[-1]["seq"])
            return EVENTS / (time.perf_counter() - began)
        finally:
            await connection.close()


@asynccontextmanager
async def reading(home: Path) -> AsyncIterator[Reading]:
    """The hub, on its own server under *home*."""
    async with server.database(home) as database:
        await fill_events(database, EVENTS)
        with programs.hub(database.address, "--no-worker") as hub:
            yield Reading(database.address, hub)
