"""Cron schedules: started subscriptions run at their times, once, whatever happens to the hub meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from imis_hub import ImisHub
from running import RunningHub, eventually, running_hub

from learning_hub.settings import Settings
from learning_hub.store.database import Database

# Long enough for every process to hear of a ring and to begin what it wants to begin.
ALL_HAVE_LOOKED_SECONDS = 1.5
EVERY_MINUTE = "* * * * *"
# A time that does not come by itself while the tests run.
SELDOM = "0 0 29 2 *"


async def miss(hub: RunningHub, interval: str, subscription_id: str = "completions") -> None:
    """Pretend that the hub was down for an *interval* of PostgreSQL, and has just started."""
    await hub.database.execute(
        "UPDATE subscription SET scheduled_utc = scheduled_utc - $1::text::interval WHERE subscription_id = $2::text",
        interval,
        subscription_id,
    )
    await hub.database.execute(
        "UPDATE subscription_tick SET done_utc = done_utc - $1::text::interval WHERE subscription_id = $2::text",
        interval,
        subscription_id,
    )
    await look(hub)


async def look(hub: RunningHub) -> None:
    """Let every process check the schedules now."""
    await hub.database.fetch("SELECT pg_notify('learning_hub', 'schedules')")


async def runs(hub: RunningHub) -> list[dict[str, Any]]:
    return list((await hub.client.get("/runs")).json()["Items"])


async def finished(hub: RunningHub, count: int = 1) -> list[dict[str, Any]]:
    """The runs, once so many are finished; the newest first."""
    return list(
        await eventually(
            lambda: runs(hub),
            until=lambda found: [run["State"] for run in found].count("finished") == count,
        )
    )


async def test_a_time_that_comes_sends_what_waits(imis_hub: ImisHub) -> None:
    """An event waits for the scheduled time; then a run that the hub begins sends it."""
    await imis_hub.set_up(Schedule=SELDOM)
    event = await imis_hub.publish()
    assert (await imis_hub.settled(event, "waiting"))["NextTryUtc"] is None

    await miss(imis_hub.hub, "5 years")

    await imis_hub.delivered(event)
    (run,) = await finished(imis_hub.hub)
    assert (run["Trigger"], run["RequestedBy"], run["Counts"]["Delivered"]) == ("cron", "hub", 1)
    assert run["Request"]["SubscriptionId"] == "completions"
    assert run["Request"]["DueUtc"].endswith("-02-29T00:00:00Z")


async def test_times_that_were_missed_are_made_up_once(imis_hub: ImisHub) -> None:
    """A month of minutes that the hub was down for is one run, of the last of them."""
    await imis_hub.set_up(Schedule="* 2 * * *", TimeZone="America/New_York")
    await miss(imis_hub.hub, "30 days")
    (run,) = await finished(imis_hub.hub)
    last = datetime.fromisoformat(run["Request"]["DueUtc"]).astimezone(ZoneInfo("America/New_York"))
    assert last.hour == 2
    await look(imis_hub.hub)
    await asyncio.sleep(ALL_HAVE_LOOKED_SECONDS)
    assert len(await runs(imis_hub.hub)) == 1


async def test_many_processes_run_each_time_once(imis_hub: ImisHub, settings: Settings) -> None:
    """Three hub processes on one database begin one run for each time."""
    await imis_hub.set_up(State="stopped")
    event = await imis_hub.publish()
    ids = [f"s{number}" for number in range(6)]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            database = Database(imis_hub.hub.database.address, max_connections=5)
            await database.open()
            stack.push_async_callback(database.close)
            await stack.enter_async_context(running_hub(settings, database))
        for each in ids:
            await imis_hub.put_subscription(each, Schedule=SELDOM, StartFrom="beginning")
        for times in (1, 2, 3):
            for each in ids:
                await imis_hub.hub.database.execute(
                    "UPDATE subscription SET scheduled_utc = scheduled_utc - interval '5 years' "
                    "WHERE subscription_id = $1::text",
                    each,
                )
            await imis_hub.hub.database.execute("UPDATE subscription_tick SET done_utc = done_utc - interval '5 years'")
            for _ in range(3):
                await look(imis_hub.hub)
                await asyncio.sleep(0.2)
            found = await finished(imis_hub.hub, times * len(ids))
        await asyncio.sleep(ALL_HAVE_LOOKED_SECONDS)
        assert len(await runs(imis_hub.hub)) == 3 * len(ids)

    assert sorted(run["Request"]["SubscriptionId"] for run in found) == sorted(ids * 3)
    assert sum(run["Counts"]["Delivered"] for run in found) == len(ids)
    states = [item["State"] for item in await imis_hub.deliveries_of(event)]
    assert sorted(states) == ["delivered"] * len(ids) + ["waiting"]


@pytest.mark.parametrize(
    "change",
    [
        {"Schedule": "* * 29 2 *"},
        {"Schedule": SELDOM, "TimeZone": "Europe/Paris"},
        {"Schedule": SELDOM, "State": "started"},
    ],
    ids=str,
)
async def test_a_change_does_not_run_what_is_past(imis_hub: ImisHub, change: dict[str, Any]) -> None:
    """A subscription that is made, changed to other times, or started again runs only at later times."""
    await imis_hub.set_up(Schedule=SELDOM)
    await imis_hub.put_subscription(Schedule=SELDOM, State="stopped")
    await miss(imis_hub.hub, "5 years")
    await asyncio.sleep(ALL_HAVE_LOOKED_SECONDS)
    if "State" not in change:
        await imis_hub.hub.database.execute("UPDATE subscription SET state = 'started'")
    await imis_hub.put_subscription(**{"State": "started", **change})
    await look(imis_hub.hub)
    await asyncio.sleep(ALL_HAVE_LOOKED_SECONDS)
    assert await runs(imis_hub.hub) == []


async def test_another_change_keeps_what_was_missed(imis_hub: ImisHub) -> None:
    """After a change of another field a missed time is still made up."""
    await imis_hub.set_up(Schedule=SELDOM)
    await imis_hub.hub.database.execute("UPDATE subscription SET scheduled_utc = scheduled_utc - interval '5 years'")
    await imis_hub.put_subscription(Schedule=SELDOM, Name="Another name")
    await finished(imis_hub.hub)


async def test_a_subscription_stopped_meanwhile_sends_nothing(imis_hub: ImisHub) -> None:
    """A subscription that is stopped while its run gathers or sends holds the rest of its deliveries."""
    await imis_hub.set_up(Schedule=SELDOM)
    event = await imis_hub.publish()
    await imis_hub.settled(event, "waiting")
    async with imis_hub.hub.database.transaction() as connection:
        await connection.execute("SELECT FROM subscription_checkpoint FOR UPDATE")
        await miss(imis_hub.hub, "5 years")
        await eventually(lambda: runs(imis_hub.hub), until=lambda found: len(found) == 1)
        await imis_hub.hub.database.execute("UPDATE subscription SET state = 'stopped'")
    (run,) = await finished(imis_hub.hub)
    assert (run["Counts"]["Matched"], run["Counts"]["Waiting"]) == (1, 1)

    await imis_hub.fault("503", Method="POST", Path="/api/Activity")
    await imis_hub.put_subscription(Schedule=SELDOM, State="started")
    await miss(imis_hub.hub, "5 years")
    await imis_hub.settled(event, "retrying")
    await imis_hub.put_subscription(Schedule=SELDOM, State="stopped")
    await imis_hub.mend()
    assert (await imis_hub.settled(event, "waiting"))["NextTryUtc"] is None
    assert await imis_hub.activities() == []


async def test_a_run_that_fails_is_made_up_later(imis_hub: ImisHub) -> None:
    """A time whose run failed is run again, but not before a minute has passed."""
    hub = imis_hub.hub
    await imis_hub.set_up(Schedule=SELDOM)
    await hub.database.execute("ALTER TABLE run_delivery RENAME TO gone")
    await miss(hub, "5 years")
    await eventually(lambda: hub.database.fetchval("SELECT run_id FROM run WHERE state = 'failed'"))
    await hub.database.execute("ALTER TABLE gone RENAME TO run_delivery")
    await look(hub)
    await asyncio.sleep(ALL_HAVE_LOOKED_SECONDS)
    assert [run["State"] for run in await runs(hub)] == ["failed"]

    await hub.database.execute("UPDATE run SET started_utc = started_utc - interval '1 minute'")
    await look(hub)

    made_up, before = await finished(hub)
    assert before["Message"] == "The hub failed; its log has the cause."
    assert made_up["Request"] == before["Request"]


async def test_the_run_of_a_process_that_is_gone_fails(imis_hub: ImisHub) -> None:
    """A run whose process cannot gather any more fails with a sentence, and its counts add up."""
    hub = imis_hub.hub
    await imis_hub.set_up()
    await hub.database.execute(
        "INSERT INTO run (run_id, program_id, trigger, request, requested_by, gatherer) "
        "VALUES ('01JD0000000000000000000000', 'NURSES', 'processEvents', '{}', 'somebody', 4711)"
    )
    (run,) = await eventually(lambda: runs(hub), until=lambda found: found[0]["State"] == "failed")
    assert run["Message"] == "The hub process that gathered the events has ended; begin the run again."
    assert (run["Counts"]["Matched"], bool(run["FinishedUtc"])) == (0, True)
