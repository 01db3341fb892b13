"""The only place where the parts of the hub are put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from learning_hub.api.app import build_app
from learning_hub.api.batches import ROOM_BYTES
from learning_hub.api.body_budget import BodyBudget
from learning_hub.api.edge import Edge
from learning_hub.api.hub import Hub
from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.registry import Registry
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.outcome_policy import Retries
from learning_hub.deliver.participant_lookup import Participants
from learning_hub.deliver.payloads import Payloads
from learning_hub.deliver.preview import Previewer
from learning_hub.deliver.worker import Worker, WorkerLimits
from learning_hub.model.caller import Caller
from learning_hub.model.errors import LearningHubError
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.process.runner import Runner
from learning_hub.process.schedule import Scheduler
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.writer import Writer
from learning_hub.rendering import Renderer
from learning_hub.services.authentication import Authenticator
from learning_hub.settings import Settings, SettingsError
from learning_hub.store import migrations
from learning_hub.store.checkpoints import open_transactions
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer
from learning_hub.store.notifications import Notifications
from learning_hub.store.statistics import Statistics
from learning_hub.store.vault import Vault

log = logging.getLogger(__name__)


class DatabaseNotReadyError(Exception):
    """The database cannot be used as it is; the sentence says what to do."""


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Database]:
    """The database of the settings: the embedded one started where none is named, and brought up to date."""
    async with run_database_server(settings) as address:
        await bring_up_to_date(address, migrate=migrate)
        database = Database(address, max_connections=settings.max_connections)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def run_database_server(settings: Settings) -> AsyncIterator[str]:
    """The address of the settings' database; the embedded server runs until the end, and again when it dies."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    server, jobs = EmbeddedServer(settings.home), Jobs()
    starting = asyncio.ensure_future(server.start())
    try:
        # Shielded: whoever is told to stop meanwhile must not leave a server behind.
        address = await asyncio.shield(starting)
        async with jobs.running([server.keep_running()]):
            yield address
    finally:
        await asyncio.wait([starting])
        await server.stop()


async def bring_up_to_date(address: str, *, migrate: bool = True) -> None:
    """
    Apply what the database is missing.

    Raises:
        DatabaseNotReadyError: It cannot be reached or migrated, or *migrate* is false and something is missing.
    """
    try:
        if migrate:
            await migrations.migrate(address)
            return
        missing = await migrations.missing(address)
    except Exception as error:
        raise DatabaseNotReadyError(
            f"The database cannot be used: {_reason(error)}. LEARNING_HUB_DATABASE_URL names it; "
            "unset, it is the hub's own."
        ) from error
    if missing:
        raise DatabaseNotReadyError(
            f"The database is not up to date; missing: {', '.join(missing)}. Run learning-hub migrate."
        )


def _reason(error: Exception) -> str:
    """The first sentence of an error of the driver, the network or the migrations, without its full stop."""
    first = error.__cause__ or error
    if isinstance(first, ValueError):
        # It may quote the address, password and all.
        return "LEARNING_HUB_DATABASE_URL cannot be read"
    return str(first).strip().partition("\n")[0].rstrip(".") or type(error).__name__


@asynccontextmanager
async def run_hub(
    settings: Settings,
    database: Database,
    *,
    with_worker: bool = True,
    with_jobs: bool = True,
    with_schedules: bool = True,
    admitted: Mapping[str, Caller] | None = None,
) -> AsyncIterator[Edge]:
    """
    One hub process over an open database: its parts put together and running.

    Args:
        settings: Of the hub.
        database: Open, and up to date.
        with_worker:
            Without one it takes events, makes their deliveries and answers questions; another process delivers.
        with_jobs: Without them it only answers; other processes hear of what it did.
        with_schedules: Run subscriptions at the times of their schedules, if there are jobs at all.
        admitted: Callers by keys that only this process knows, for the command line.
    """
    async with AsyncExitStack() as stack:
        running = Jobs()
        notifications = Notifications(database)
        writer = Writer(database, notifications)
        authenticator = Authenticator(database, settings.admin_key, admitted or {})
        stack.push_async_callback(authenticator.flush)
        delivery = await stack.enter_async_context(_delivery_parts(settings, database))
        enqueuer = Enqueuer(database, notifications)
        runner = Runner(database, notifications, enqueuer)
        hub = Hub(
            settings=settings,
            database=database,
            notifications=notifications,
            authenticator=authenticator,
            publisher=Publisher(database, notifications, writer),
            runner=runner,
            batch_budget=BodyBudget(ROOM_BYTES),
            readiness=lambda: _readiness(database, running),
            **delivery,
        )
        jobs = [notifications.publish()]
        if with_jobs:
            # Outlives the runs that gather: nobody takes them for gone before they are told to stop.
            await stack.enter_async_context(running.running([runner.hold_liveness_lock()]))
            jobs += [
                notifications.listen(),
                writer.run(),
                authenticator.note_use(),
                enqueuer.run(),
                runner.close_runs(),
            ]
            jobs.append(Statistics(database).run())
        if with_jobs and with_schedules:
            jobs.append(Scheduler(database, notifications, runner).run())
        if with_worker:
            worker = build_worker(settings, database, notifications, hub)
            # Outlives the tries: they get to their end before it goes.
            await stack.enter_async_context(running.running([worker.hold_liveness_lock()]))
            jobs.append(worker.run())
        stack.push_async_callback(runner.stop)
        await stack.enter_async_context(running.running(jobs))
        yield build_app(hub)


@asynccontextmanager
async def run_worker(settings: Settings, database: Database) -> AsyncIterator[None]:
    """A process that only makes and carries out deliveries."""
    async with run_hub(settings, database):
        yield


def build_worker(settings: Settings, database: Database, notifications: Notifications, hub: Hub) -> Worker:
    """The worker of one process."""
    retries = Retries(
        steps_seconds=settings.retry_seconds,
        settle_seconds=settings.settle_seconds,
        probe_seconds=settings.probe_seconds,
    )
    limits = WorkerLimits(
        lease_seconds=settings.lease_seconds, retries=retries, pause_alarm_seconds=settings.pause_alarm_seconds
    )
    return Worker(database, notifications, hub.connections, hub.participants, hub.payloads, limits)


def guard_of(settings: Settings) -> Guard:
    """
    The guard of the settings; its rules are its own, so what is wrong with its entries is known only here.

    Raises:
        SettingsError: LEARNING_HUB_ALLOWED_PRIVATE_TARGETS lists what is no host or network.
    """
    try:
        return Guard(settings.allowed_private_targets)
    except ValueError as error:
        raise SettingsError(str(error)) from None


@asynccontextmanager
async def _delivery_parts(settings: Settings, database: Database) -> AsyncIterator[dict[str, Any]]:
    registry = Registry(guard_of(settings), timeout_seconds=settings.send_timeout_seconds)
    vault = Vault.of(settings)
    async with AsyncExitStack() as stack:
        renderer = await stack.enter_async_context(Renderer(processes=settings.render_processes))
        participants = Participants(database, remembered_seconds=settings.participant_remembered_seconds)
        payloads = Payloads(database, renderer)
        connections = Connections(database, vault, registry)
        stack.push_async_callback(connections.close)
        yield {
            "renderer": renderer,
            "registry": registry,
            "vault": vault,
            "connections": connections,
            "participants": participants,
            "payloads": payloads,
            "previewer": Previewer(database, participants, payloads),
        }


class Jobs:
    """Jobs that run in the background until the end; *ended* names those that did not, which is the hub's fault."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @asynccontextmanager
    async def running(self, jobs: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
        """Run *jobs* until the end; the worker among them then finishes what is under way."""
        tasks = [asyncio.create_task(job, name=getattr(job, "__qualname__", "a job")) for job in jobs]
        for task in tasks:
            task.add_done_callback(self._tell_if_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_if_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.ended.append(task.get_name())
            log.critical("job_ended", extra={"job": task.get_name()}, exc_info=task.exception())


async def _readiness(database: Database, jobs: Jobs) -> tuple[bool, list[str]]:
    """Whether the database answers and every job runs, and what holds the feed back."""
    if jobs.ended:
        return False, [f"{name} has ended: the log has the cause. Restart this hub process." for name in jobs.ended]
    try:
        findings = await open_transactions(database)
    except LearningHubError as error:
        return False, [error.detail]
    return True, findings
