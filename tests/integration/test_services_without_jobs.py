"""The services as a command uses them: without the jobs of a hub process."""

from __future__ import annotations

import asyncio

from running import eventually

from learning_hub.main import run_services
from learning_hub.model.caller import COMMAND_LINE
from learning_hub.model.fields import read_object
from learning_hub.settings import Settings
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications


async def test_a_change_is_published_before_the_command_ends(settings: Settings, database: Database) -> None:
    """Other processes hear of what a command did, although it ends at once."""
    other = Notifications(database)
    listening = asyncio.create_task(other.listen())
    seen = other.deliveries.count
    subscriber = b'{"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hooks.example.org/"}}'
    # Listening begins a moment after the task; what is published before that is not heard.
    await eventually(
        lambda: database.fetchval("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%')")
    )
    async with run_services(settings, database, with_worker=False, with_jobs=False) as (services, _):
        await services.subscribers.put(COMMAND_LINE, "hook", read_object(subscriber))
    async with asyncio.timeout(10):
        await other.deliveries.wait(10, seen)
    listening.cancel()

    assert other.deliveries.count > seen
