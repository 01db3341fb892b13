"""Schedules and logs of runs in hub processes that are killed, stopped, and started again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet
from factories import a_subscriber_body, a_subscription_body, an_event_body
from programs import Served, served
from running import ADMIN_KEY

SECONDS = 60
MISSED = "UPDATE subscription SET scheduled_utc = scheduled_utc - interval '5 years'"
GOING_ON = """
INSERT INTO run (run_id, program_id, trigger, request, requested_by)
VALUES ('01JD0000000000000000000000', 'NURSES', 'run', '{}', 'somebody')
"""


@pytest.fixture
def settings(database_address: str, tmp_path: Path) -> dict[str, str]:
    """Settings of hubs on one database."""
    return {
        "DATABASE_URL": database_address,
        "HOME": str(tmp_path / "home"),
        "ADMIN_KEY": ADMIN_KEY,
        "SECRET_KEYS": Fernet.generate_key().decode(),
    }


def test_a_run_that_is_killed_while_it_gathers_is_made_up_once(settings: dict[str, str], tmp_path: Path) -> None:
    """The run of a process that is killed while it gathers fails with a sentence, and another process runs the time."""

    async def kill_in_the_midst(one: Served, stack: ExitStack) -> Served:
        holding = await asyncpg.connect(settings["DATABASE_URL"])
        looking = await asyncpg.connect(settings["DATABASE_URL"])
        async with holding.transaction():
            # Nobody comes further than to the subscription's place.
            await holding.execute("SELECT FROM subscription_checkpoint FOR UPDATE")
            await looking.execute(MISSED)
            await looking.execute("SELECT pg_notify('learning_hub', 'schedules')")
            _eventually(lambda: _runs(one), until=bool)
            two = stack.enter_context(served("--no-worker", settings=settings, log=tmp_path / "two.log"))
            await asyncio.sleep(3)
            assert [run["State"] for run in _runs(two)] == ["running"]
            one.process.kill()
            _eventually(lambda: _runs(two), until=lambda found: len(found) == 2)
        await holding.close()
        await looking.close()
        return two

    with ExitStack() as stack:
        one = stack.enter_context(served("--no-worker", settings=settings, log=tmp_path / "one.log"))
        _set_up(one)
        two = asyncio.run(kill_in_the_midst(one, stack))
        made_up, failed = _eventually(lambda: _runs(two), until=lambda found: found[0]["Counts"]["Matched"])
        time.sleep(2)
        assert len(_runs(two)) == 2
        assert asyncio.run(_released(settings)) == 1
    assert (failed["State"], failed["Trigger"]) == ("failed", "cron")
    assert failed["Message"] == "The hub process that gathered the events has ended; another one runs what was due."
    assert made_up["Request"] == failed["Request"]
    assert (made_up["Trigger"], made_up["Counts"]["Waiting"]) == ("cron", 1)


def test_stopping_a_hub_does_not_wait_for_readers_of_a_log(settings: dict[str, str], tmp_path: Path) -> None:
    """SIGTERM ends a live log at once, without the event `end`, and the hub with it."""

    async def begin_a_run() -> None:
        connection = await asyncpg.connect(settings["DATABASE_URL"])
        await connection.execute(GOING_ON)
        await connection.close()

    with served("--no-worker", settings=settings, log=tmp_path / "log") as hub:
        hub.client.put("/programs/NURSES", json={"Name": "Nurses"})
        asyncio.run(begin_a_run())
        address = "/runs/01JD0000000000000000000000/log"
        with hub.client.stream("GET", address, headers={"Accept": "text/event-stream"}) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("id: ")
            began = time.monotonic()
            hub.process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert hub.process.wait(SECONDS) == 0
        assert time.monotonic() - began < 10
        assert [line for line in rest if line.startswith("event: ")] == []
        assert "Traceback" not in hub.log


def _set_up(hub: Served) -> None:
    for method, path, body in (
        ("PUT", "/programs/NURSES", {"Name": "Nurses"}),
        ("PUT", "/subscribers/imis", a_subscriber_body()),
        ("PUT", "/subscriptions/completions", a_subscription_body(Schedule="0 0 29 2 *")),
        ("POST", "/events", an_event_body()),
    ):
        answer = hub.client.request(method, path, json=body)
        assert answer.status_code == 201, answer.text


async def _released(settings: dict[str, str]) -> int:
    """How many deliveries may be sent now."""
    connection = await asyncpg.connect(settings["DATABASE_URL"])
    try:
        return int(await connection.fetchval("SELECT count(*) FROM delivery WHERE released"))
    finally:
        await connection.close()


def _runs(hub: Served) -> list[dict[str, Any]]:
    return list(hub.client.get("/runs").json()["Items"])


def _eventually(look: Callable[[], Any], *, until: Callable[[Any], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not until(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found
