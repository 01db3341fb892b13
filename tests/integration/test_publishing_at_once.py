"""Many publishers at the same moment, in one hub and in two on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from factories import an_event_body
from feed_visibility import reads_all
from running import running_hub

from learning_hub.model.errors import Unavailable
from learning_hub.publish import writer
from learning_hub.settings import Settings
from learning_hub.store.database import Database


@pytest.fixture
async def hubs(settings: Settings, database: Database) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients of two hubs on one database."""
    other = Database(database.address, max_connections=10)
    await other.open()
    async with (
        running_hub(settings, database, with_worker=False) as one,
        running_hub(settings, other, with_worker=False) as two,
    ):
        await one.make_program()
        yield [reads_all(client, database) for client in (one.client, two.client)]
    await other.close()


async def post(client: httpx.AsyncClient, key: str | None = None, **changes: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/events", json=an_event_body(**changes), headers=headers)


async def feed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await client.get("/events?ProgramId=NURSES&Limit=1000")).json()["Items"])


async def test_of_identical_events_at_once_one_is_stored(hubs: list[httpx.AsyncClient]) -> None:
    """Fifty identical events at once, through both hubs: one 201, 200 for all others, one Location, one event."""
    answers = await asyncio.gather(*[post(hubs[number % 2]) for number in range(50)])

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(await feed(hubs[0])) == 1


async def test_revisions_of_one_source(hubs: list[httpx.AsyncClient]) -> None:
    """Fifty contents of one source at once, through both hubs: revisions 1 to 50, each superseding the one before."""
    answers = await asyncio.gather(*[post(hubs[number % 2], PublisherEventData={"n": number}) for number in range(50)])
    entries = await feed(hubs[0])
    by_revision = sorted(entries, key=lambda entry: int(entry["Revision"]))

    assert {201} == {answer.status_code for answer in answers}
    assert list(range(1, 51)) == [entry["Revision"] for entry in by_revision]
    assert [None] + [entry["EventId"] for entry in by_revision[:-1]] == [entry["Supersedes"] for entry in by_revision]
    assert by_revision == entries
    assert set(range(50)) == {entry["PublisherEventData"]["n"] for entry in entries}
    assert {answer.headers["Location"] for answer in answers} == {f"/events/{entry['EventId']}" for entry in entries}


async def test_one_key_through_two_hubs(hubs: list[httpx.AsyncClient]) -> None:
    """One Idempotency-Key through both hubs at once: every answer is 201 with one Location, and one event results."""
    answers = await asyncio.gather(*[post(hubs[number % 2], "k") for number in range(20)])
    others = await asyncio.gather(*[post(hubs[number % 2], "j", PublisherEventId=f"{number}") for number in range(20)])

    assert {(201, answers[0].headers["Location"])} == {(a.status_code, a.headers["Location"]) for a in answers}
    assert sorted(answer.status_code for answer in others) == [201] + [409] * 19
    assert len(await feed(hubs[0])) == 2


async def test_everything_at_once(hubs: list[httpx.AsyncClient]) -> None:
    """Repetitions, revisions and withdrawals mixed: every source's history is whole, and nobody gets a 500."""
    firsts = await asyncio.gather(*[post(hubs[0], PublisherEventId=f"{number}") for number in range(6)])
    work = []
    for number, first in enumerate(firsts):
        for round_ in range(5):
            client = hubs[(number + round_) % 2]
            work.append(post(client, PublisherEventId=f"{number}", PublisherEventData={"n": round_}))
            work.append(post(client, PublisherEventId=f"{number}"))
        work.append(hubs[number % 2].delete(first.headers["Location"]))
        work.append(hubs[(number + 1) % 2].delete(first.headers["Location"]))
    answers = await asyncio.gather(*work)

    assert {answer.status_code for answer in answers} <= {200, 201, 204, 409}
    entries = await feed(hubs[0])
    for number in range(6):
        history = [entry for entry in entries if entry["PublisherEventId"] == f"{number}"]
        stored = [entry for entry in history if "WithdrawnUtc" not in entry]
        assert list(range(1, len(stored) + 1)) == [entry["Revision"] for entry in stored]
        assert [None] + [entry["EventId"] for entry in stored[:-1]] == [entry["Supersedes"] for entry in stored]
        withdrawn = [entry["EventId"] for entry in history if "WithdrawnUtc" in entry]
        assert len(set(withdrawn)) == len(withdrawn)


async def test_withdrawing_at_once(hubs: list[httpx.AsyncClient]) -> None:
    """Many withdrawals of one event at once are all 204, and it is withdrawn once."""
    location = (await post(hubs[0])).headers["Location"]
    answers = await asyncio.gather(*[hubs[number % 2].delete(location) for number in range(20)])

    assert {204} == {answer.status_code for answer in answers}
    assert len(await feed(hubs[0])) == 2


async def test_a_full_backlog(hubs: list[httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bounded backlog the answer is 503 with Retry-After, and what was answered 201 is there."""
    monkeypatch.setattr(writer, "MAX_BACKLOG", 3)
    answers = await asyncio.gather(*[post(hubs[0], PublisherEventId=f"{number}") for number in range(40)])
    stored = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 503]

    assert len(stored) + len(refused) == 40
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert len(stored) == len(await feed(hubs[0]))


async def test_one_that_the_database_refuses(hubs: list[httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad row does not fail the others in the same commit."""
    monkeypatch.setattr("learning_hub.model.json_errors._walk_errors", lambda *_: iter(()))
    monkeypatch.setattr("learning_hub.model.fields.check_json", lambda *_: [])
    answers = await asyncio.gather(
        *[post(hubs[0], PublisherEventId=f"{number}" + "\0" * (number == 7)) for number in range(20)]
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 19 + [400]
    assert len(await feed(hubs[0])) == 19


async def test_a_publisher_that_hangs_up(hubs: list[httpx.AsyncClient]) -> None:
    """A publisher that does not wait for its answer harms no other; sent again, its event is there once."""
    waiting = [asyncio.create_task(post(hubs[0], PublisherEventId=f"{number}")) for number in range(20)]
    await asyncio.sleep(0.01)
    for task in waiting[::2]:
        task.cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert {201} == {answer.status_code for answer in done if isinstance(answer, httpx.Response)}
    again = await asyncio.gather(*[post(hubs[1], PublisherEventId=f"{number}") for number in range(20)])

    assert {answer.status_code for answer in again} <= {200, 201}
    assert len(await feed(hubs[0])) == 20


async def test_a_writer_that_is_stopped_tells_those_who_wait(database: Database) -> None:
    """Whoever waits for a writer that ends is asked to try again."""
    from factories import a_valid_event

    from learning_hub.store.notifications import Notifications

    stopped = writer.Writer(database, Notifications(database))
    running = asyncio.create_task(stopped.run())
    waiting = asyncio.create_task(stopped.publish(a_valid_event()))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(Unavailable):
        await asyncio.wait_for(waiting, 30)
    await asyncio.gather(running, return_exceptions=True)
