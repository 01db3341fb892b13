"""
The API in this process, over the database of the settings and without a server.

A command asks it exactly what a script would ask over HTTP, so validation, audit and answers are the same. In the
audit log the caller is `cli`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import rich_click as click

from learning_hub.cli.failing import failed_with

if TYPE_CHECKING:
    import httpx

    from learning_hub.settings import Settings

T = TypeVar("T")

# For the ring that tells other processes of a change; a lost one would only delay what they do.
RING_SECONDS = 0.1


class Answer:
    """What the API answered: its JSON as it was sent, and as values that keep the spelling of numbers."""

    def __init__(self, response: httpx.Response) -> None:
        from learning_hub.model.json_values import read_json

        self.content = response.content
        self.location = response.headers.get("location")
        self.value: Any = read_json(self.content) if self.content else None


class Api:
    """The API as a command asks it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
        """
        What the API answers.

        Args:
            method: Of HTTP.
            path: With its ids quoted.
            query: Parameters; those that are None are left out.
            body: JSON values, or JSON as bytes.

        Raises:
            FailedError: It answered with a problem.
        """
        from learning_hub.model.json_values import write_json

        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        content = body if body is None or isinstance(body, bytes) else write_json(body)
        response = await self._client.request(method, path, params=parameters, content=content)
        if response.status_code >= 400:
            raise failed_with(response.json())
        return Answer(response)

    async def lines(self, path: str, *, is_live: bool) -> AsyncIterator[bytes]:
        """
        The lines of a log as they come, each a JSON object; with *is_live* until what it is of is over.

        Raises:
            FailedError: It answered with a problem.
        """
        headers = {"Accept": "text/event-stream" if is_live else "application/x-ndjson"}
        async with self._client.stream("GET", path, headers=headers) as response:
            if response.status_code >= 400:
                await response.aread()
                raise failed_with(response.json())
            name = ""
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if not is_live:
                    yield line.encode()
                elif field == "event":
                    name = value
                elif field == "data" and not name:
                    yield value.encode()


@asynccontextmanager
async def open_api(settings: Settings, *, with_worker: bool = False) -> AsyncIterator[Api]:
    """The API over the database of *settings*, with a worker of this process where something is to be delivered."""
    import httpx

    from learning_hub.cli.in_process import InProcess
    from learning_hub.main import open_database, run_hub
    from learning_hub.model.caller import EVERY_PROGRAM, SCOPES, Caller

    key = secrets.token_urlsafe(32)
    person = Caller(key_id="cli", name="command line", programs=(EVERY_PROGRAM,), scopes=frozenset(SCOPES))
    settings = msgspec.structs.replace(settings, rate_limit=None)
    async with (
        # A database of one's own is brought up to date; when to do that with a server's is for its people to say.
        open_database(settings, migrate=settings.database_url is None) as database,
        run_hub(
            settings,
            database,
            with_worker=with_worker,
            with_jobs=with_worker,
            with_schedules=False,
            admitted={key: person},
        ) as app,
        httpx.AsyncClient(
            transport=InProcess(app), base_url="http://hub", headers={"X-API-Key": key}, timeout=3600
        ) as client,
    ):
        yield Api(client)


def ask(method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
    """What the API answers to this one request."""

    async def once(api: Api) -> Answer:
        answer = await api.ask(method, path, query, body)
        if method != "GET":
            await asyncio.sleep(RING_SECONDS)
        return answer

    return talk(once)


def talk(conversation: Callable[[Api], Awaitable[T]], *, with_worker: bool = False) -> T:
    """What *conversation* with the API comes to."""
    from learning_hub.cli.beginning import begin_command

    settings = begin_command()
    # Also false where the folder above may not be looked into, which is told by whoever opens the database.
    if settings.database_url is None and not os.access(settings.home, os.F_OK):
        click.echo(f"LEARNING_HUB_DATABASE_URL is not set; making a database in {settings.home.resolve()}.", err=True)

    async def whole() -> T:
        async with open_api(settings, with_worker=with_worker) as api:
            return await conversation(api)

    return asyncio.run(whole())
