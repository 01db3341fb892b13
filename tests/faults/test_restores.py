"""After the database has gone back in time, readers with cursors from before see everything that comes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
from databases import in_memory
from factories import an_event_body
from faults.restored_server import WAYS, RestoredServer, restored_server
from faults.scale import IS_LONG, of
from imis_hub import ImisHub
from panels import WITH_KEY
from running import RunningHub, eventually, running_hub

from learning_hub.sandbox import RunningSandbox
from learning_hub.settings import Settings
from learning_hub.store.database import Database

EVENTS = of(40, 300)
SENT = of(6, 100)
PANEL = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
ROW = {"Course": "{{ data['Activity Title'] }}", "Units": "{{ data['Credits'] | default: 1 | decimal }}"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path that another user may reach."""
    with tempfile.TemporaryDirectory(prefix="learning-hub-restore-", dir=in_memory()) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def hub_on(server: RestoredServer, settings: Settings) -> AsyncIterator[RunningHub]:
    address = await server.start()
    database = Database(address, max_connections=10)
    await database.open()
    try:
        async with running_hub(msgspec.structs.replace(settings, database_url=address), database) as hub:
            await hub.make_program()
            yield hub
    finally:
        await database.close()


async def publish(client: httpx.AsyncClient, numbers: range) -> None:
    events = [an_event_body(PublisherEventId=f"AI:{number}") for number in numbers]
    answer = await client.post("/events/batch", json=events)
    assert answer.status_code == 200, answer.text
    assert {result["Status"] for result in answer.json()["Results"]} <= {200, 201}


async def follow(client: httpx.AsyncClient, cursor: str | None) -> tuple[list[str], str]:
    """The PublisherEventIds of all entries after *cursor*, and the cursor of the end."""
    seen: list[str] = []
    while True:
        params = {"ProgramId": "NURSES", "Limit": "100"} | ({"Cursor": cursor} if cursor else {})
        page = (await client.get("/events", params=params)).json()
        cursor = page["NextCursor"]
        if not page["Items"]:
            return seen, str(cursor)
        seen += [item["PublisherEventId"] for item in page["Items"]]


def ids(*ranges: range) -> list[str]:
    return [f"AI:{number}" for numbers in ranges for number in numbers]


@pytest.mark.parametrize("way", WAYS)
async def test_a_reader_with_a_cursor_from_before_sees_all_that_comes(
    way: str, folder: Path, settings: Settings
) -> None:
    """Entries that were lost and are published again, and new ones, come after every cursor from before, once each."""
    kept, lost, new = range(EVENTS), range(EVENTS, 2 * EVENTS), range(2 * EVENTS, 3 * EVENTS)
    async with restored_server(folder) as server:
        async with hub_on(server, settings) as hub:
            await publish(hub.client, kept)
            middle = (await follow(hub.client, None))[1]
        await server.keep(way)
        async with hub_on(server, settings) as hub:
            await publish(hub.client, lost)
            seen, end = await follow(hub.client, middle)
            assert sorted(seen) == sorted(ids(lost))

        await server.go_back(way)

        async with hub_on(server, settings) as hub:
            epoch = await hub.database.fetchrow("SELECT * FROM feed_epoch ORDER BY epoch DESC LIMIT 1")
            assert epoch is not None
            assert epoch["is_step_back"]
            await publish(hub.client, range(3 * EVENTS))
            for cursor in (middle, end):
                seen, after = await follow(hub.client, cursor)
                assert sorted(seen) == sorted(ids(lost, new))
                assert (await follow(hub.client, after))[0] == []
            assert sorted((await follow(hub.client, None))[0]) == sorted(ids(kept, lost, new))


@pytest.mark.skipif(not IS_LONG, reason="takes ten seconds for each way; test_restored_imis.py is the short form")
@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_doubled_at_imis(way: str, folder: Path, settings: Settings, imis: RunningSandbox) -> None:
    """
    A backlog that was open in the backup, and what publishers repeat, become no second record.

    Of activities as of rows of a panel with a KeyProperty; reconciliation finds each of them once.
    """
    backlog, lost, new = range(SENT), range(SENT, 2 * SENT), range(2 * SENT, 3 * SENT)
    async with restored_server(folder) as server:
        async with hub_on(server, settings) as hub:
            imis_hub = ImisHub(hub, imis)
            await imis_hub.make_panel(PANEL["Name"], WITH_KEY)
            await imis_hub.set_up(State="stopped")
            await imis_hub.put_subscription("rows", Target=PANEL, Templates={"_default": ROW}, State="stopped")
            await publish(hub.client, backlog)
            await eventually(lambda: in_state(hub, "waiting"), until=lambda count: count == 2 * SENT)
        await server.keep(way)
        async with hub_on(server, settings) as hub:
            await start(hub)
            await publish(hub.client, lost)
            await eventually(lambda: in_state(hub, "delivered"), until=lambda count: count == 4 * SENT, seconds=120)

        await server.go_back(way)

        async with hub_on(server, settings) as hub:
            await start(hub)
            await publish(hub.client, range(3 * SENT))
            await eventually(lambda: in_state(hub, "delivered"), until=lambda count: count == 6 * SENT, seconds=120)
            state = await ImisHub(hub, imis).state()
            assert (len(state["Activities"]), len(state["Panels"][PANEL["Name"]])) == (3 * SENT, 3 * SENT)
            assert len(ids(backlog, lost, new)) == 3 * SENT
            hour = timedelta(hours=1)
            body = {"FromUtc": str(datetime.now(UTC) - hour), "ToUtc": str(datetime.now(UTC) + hour)}
            for subscription in ("completions", "rows"):
                answer = await hub.client.post(f"/subscriptions/{subscription}/reconcile", json=body)
                found = answer.json()
                assert answer.status_code == 200, found
                assert (found["There"], found["Missing"], found["Doubled"]) == (3 * SENT, [], [])


async def start(hub: RunningHub) -> None:
    for subscription in ("completions", "rows"):
        assert (await hub.client.post(f"/subscriptions/{subscription}/start")).status_code == 200


async def in_state(hub: RunningHub, state: str) -> int:
    return int(await hub.database.fetchval("SELECT count(*) FROM delivery WHERE state = $1", state))


async def test_a_start_of_the_server_beside_a_running_hub_is_no_step_back(folder: Path, settings: Settings) -> None:
    """A hub that has seen the database before its server was started again knows that nothing was lost."""
    async with restored_server(folder) as server, hub_on(server, settings) as hub:
        await publish(hub.client, range(EVENTS))
        _, cursor = await follow(hub.client, None)

        await server.restart()

        async def is_ready() -> bool:
            return (await hub.client.get("/health/ready")).status_code == 200

        await eventually(is_ready)
        await publish(hub.client, range(EVENTS, 2 * EVENTS))
        assert sorted((await follow(hub.client, cursor))[0]) == sorted(ids(range(EVENTS, 2 * EVENTS)))
        rows = await hub.database.fetch("SELECT is_step_back FROM feed_epoch ORDER BY epoch")
        assert [row["is_step_back"] for row in rows] == [False, False]
