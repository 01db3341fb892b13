"""Administrators who change the same thing at the same moment: one after the other, and the last one wins."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from factories import a_subscriber_body, a_subscription_body
from running import RunningHub

from learning_hub.model.subscriber import Subscriber
from learning_hub.store import subscribers
from learning_hub.store.database import Connection, Database

pytestmark = pytest.mark.quick


@pytest.fixture
async def hub(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with the Program NURSES and the subscriber imis."""
    await hub_without_worker.make_program()
    await hub_without_worker.client.put("/subscribers/imis", json=a_subscriber_body())
    return hub_without_worker


async def history(hub: RunningHub, **filters: str) -> list[dict[str, Any]]:
    """The entries of the audit log about one thing, oldest first."""
    items: list[dict[str, Any]] = (await hub.client.get("/audit", params={**filters, "Limit": "1000"})).json()["Items"]
    return items[::-1]


async def test_a_program_is_made_once(hub: RunningHub) -> None:
    """However many make a Program at once, one gets 201, and each change begins where the last ended."""
    answers = await asyncio.gather(
        *(hub.client.put("/programs/PX", json={"Name": f"Name {number}"}) for number in range(40))
    )
    log = await history(hub, ObjectType="program", ObjectId="PX")

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 39}
    assert [entry["Action"] for entry in log] == ["create"] + ["update"] * 39
    assert [entry["Before"] for entry in log] == [None, *(entry["After"] for entry in log[:-1])]


async def test_a_program_is_archived_once(hub: RunningHub) -> None:
    """However many archive a Program at once, one of them did."""
    answers = await asyncio.gather(*(hub.client.delete("/programs/NURSES") for _ in range(8)))
    log = await history(hub, ObjectType="program", ObjectId="NURSES")

    assert {answer.status_code for answer in answers} == {204}
    assert [entry["Action"] for entry in log] == ["create", "archive"]


async def test_the_last_put_of_a_subscription_wins(hub: RunningHub) -> None:
    """However many change a subscription at once, each is taken, and each change begins where the last ended."""
    answers = await asyncio.gather(
        *(hub.client.put("/subscriptions/s", json=a_subscription_body(Name=f"Name {number}")) for number in range(16))
    )
    log = await history(hub, ObjectType="subscription", ObjectId="s")

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 15}
    assert [entry["Before"] for entry in log] == [None, *(entry["After"] for entry in log[:-1])]
    assert (await hub.client.get("/subscriptions/s")).json() == log[-1]["After"]


async def test_the_change_that_comes_last_is_the_newest(database: Database) -> None:
    """Of two changes the one that was begun first and came last has the later ChangedUtc: by it workers see it."""
    await _put(database, "made")
    async with database.transaction() as early:
        await early.fetchval("SELECT now()")
        between = await _put(database, "between")
        last = await _put_within(early, "last")

    assert last.changed_utc > between.changed_utc


async def _put(database: Database, name: str) -> Subscriber:
    async with database.transaction() as connection:
        return await _put_within(connection, name)


async def _put_within(connection: Connection, name: str) -> Subscriber:
    return await subscribers.put(
        connection,
        "imis",
        name=name,
        connector="imis",
        settings={},
        encrypted_credentials=b"x",
        max_concurrency=1,
    )
