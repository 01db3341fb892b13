"""A database that goes back in time: readers see all that comes, and nothing is doubled at iMIS."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from databases import in_memory
from factories import an_event_body
from faults import scale
from faults.final_deliveries import OPEN_STATES, confirm_all, deliveries_of
from faults.kinds import Imis
from faults.restored_server import WAYS, RestoredServer, restored_server
from msgspec.structs import replace
from plain_http import plain_async_client
from programs import quick_command
from running import ADMIN_KEY, RunningHub, eventually, running_hub

from learning_hub.sandbox import running_sandbox
from learning_hub.settings import Settings
from learning_hub.store.database import Database

COUNT = scale.of(12, 400)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of the servers may reach."""
    with tempfile.TemporaryDirectory(prefix="learning-hub-restored-", dir=in_memory()) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def hub_on(server: RestoredServer, settings: Settings) -> AsyncIterator[RunningHub]:
    """A hub on the present database of *server*."""
    database = Database(await server.start(), max_connections=10)
    await database.open()
    try:
        async with running_hub(settings, database) as hub:
            yield hub
    finally:
        await database.close()


async def publish(hub: RunningHub, file: Path) -> str:
    """What `learning-hub publish` prints."""
    arguments = ("publish", str(file), "--url", hub.address, "--key", ADMIN_KEY)
    done = await asyncio.to_thread(quick_command, *arguments, settings={})
    assert done.exit_code == 0, done.output
    return done.stdout


async def read_on(hub: RunningHub, cursor: str) -> tuple[list[str], str]:
    """The publisher's ids of all entries after *cursor*, and the cursor after them."""
    names: list[str] = []
    while True:
        more = {"Cursor": cursor} if cursor else {}
        answer = await hub.client.get("/events", params={"ProgramId": "NURSES", "Limit": "100", **more})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        names += [one["PublisherEventId"] for one in page["Items"]]
        cursor = page["NextCursor"]
        if not page["Items"]:
            return names, cursor


async def all_delivered(hub: RunningHub, count: int) -> None:
    async def look() -> tuple[int, int]:
        still_open = [one for state in OPEN_STATES for one in await deliveries_of(hub.client, State=state)]
        return len(still_open), len(await deliveries_of(hub.client, State="delivered"))

    await eventually(look, until=lambda found: found == (0, 2 * count), seconds=scale.of(60, 300))


def write_events(file: Path, first: int, last: int) -> None:
    """Append events to the file."""
    with file.open("a") as opened:
        for number in range(first, last):
            name = f"AI:{number}"
            data = {"Activity Code": name, "Activity Title": f"{name} version 1"}
            opened.write(json.dumps(an_event_body(PublisherEventId=name, PublisherEventData=data)) + "\n")


def renamed(file: Path, old: str, new: str) -> None:
    """What was published to the hub at *old* counts as published at *new*: its address is the same to a publisher."""
    published = file.with_name(file.name + ".published")
    published.write_text(published.read_text().replace(old, new))


# One of the ways takes five seconds.
@pytest.mark.parametrize("way", WAYS if scale.IS_LONG else WAYS[:1])
async def test_a_restore_hides_and_doubles_nothing(way: str, folder: Path, tmp_path: Path, settings: Settings) -> None:
    """
    Half of the events are in the backup, some of them undelivered, and the others are lost with all later deliveries.

    After the restore the publisher repeats the file: a reader goes on with its cursor and sees each of the lost events
    and of the new ones once, iMIS holds each as one activity and one row, and reconciliation finds nothing to say.
    """
    settings = replace(settings, retry_seconds=(0.2,) * 50, probe_seconds=0.1)
    file, cursor = tmp_path / "events.jsonl", ""
    with running_sandbox() as sandbox:
        imis = Imis(sandbox)
        async with restored_server(folder) as server:
            async with hub_on(server, settings) as hub:
                await hub.make_program("NURSES")
                await imis.set_up(hub.client, imis.address)
                write_events(file, 0, COUNT // 2)
                await publish(hub, file)
                before = hub.address
            await server.keep(way)
            async with hub_on(server, settings) as hub:
                write_events(file, COUNT // 2, COUNT)
                renamed(file, before, hub.address)
                await publish(hub, file)
                before = hub.address
                await all_delivered(hub, COUNT)
                names, cursor = await read_on(hub, cursor)
                assert len(names) == COUNT
            await server.go_back(way)
            async with hub_on(server, settings) as hub:
                renamed(file, before, hub.address)
                assert "it was restored" in await publish(hub, file)
                write_events(file, COUNT, COUNT + 10)
                await publish(hub, file)
                await all_delivered(hub, COUNT + 10)
                names, cursor = await read_on(hub, cursor)
                assert Counter(names) == Counter(f"AI:{number}" for number in range(COUNT // 2, COUNT + 10))
                assert (await read_on(hub, cursor))[0] == []
                await _is_right(hub, imis, COUNT + 10)


async def _is_right(hub: RunningHub, imis: Imis, count: int) -> None:
    """Each event is one activity and one row, and reconciliation finds all of them there."""
    async with plain_async_client(imis.address) as client:
        state: dict[str, Any] = (await client.get("/_sandbox/state")).json()
    activities = Counter(one["Properties"]["PRODUCT_CODE"] for one in state["Activities"])
    rows = Counter(row["CourseCode"] for row in state["Panels"]["LH_Learning"])
    assert activities == rows == Counter(f"AI:{number}" for number in range(count))
    for subscription in imis.subscriptions:
        found = await confirm_all(hub.client, subscription)
        assert (found["There"], found["Missing"], found["Different"], found["Doubled"]) == (count, [], [], [])
