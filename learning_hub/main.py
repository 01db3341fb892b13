"""The composition root: the only module that puts the parts of the hub together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.factory import ConnectorFactory
from learning_hub.connectors.kinds import KINDS
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.discovery import TargetDiscovery
from learning_hub.deliver.participant_lookup import ParticipantLookup
from learning_hub.deliver.payload_renderer import PayloadRenderer
from learning_hub.deliver.preview import Previewer
from learning_hub.deliver.worker import Worker, WorkerLimits
from learning_hub.jobs import Jobs
from learning_hub.model.errors import KeysMissing
from learning_hub.model.retry import RetryPolicy
from learning_hub.process.bulk_changer import BulkChanger
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.process.gathering import Gathering
from learning_hub.process.runner import Runner
from learning_hub.process.scheduler import Scheduler
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.writer import Writer
from learning_hub.rendering import Renderer
from learning_hub.services.audit_log import AuditLog
from learning_hub.services.authentication import Authenticator
from learning_hub.services.batch_publishing import BatchPublishing
from learning_hub.services.deliveries import Deliveries
from learning_hub.services.event_validation import EventValidation
from learning_hub.services.events import Events
from learning_hub.services.feed import Feed
from learning_hub.services.hub_status import HubStatus
from learning_hub.services.keys import Keys
from learning_hub.services.panel_subscriptions import PanelSubscriptions
from learning_hub.services.panels import Panels
from learning_hub.services.participants import ParticipantMatches
from learning_hub.services.preview_limit import PreviewLimit
from learning_hub.services.previews import Previews
from learning_hub.services.programs import Programs
from learning_hub.services.reconciliation import Reconciliations
from learning_hub.services.registry import Services
from learning_hub.services.run_logs import RunLogs
from learning_hub.services.runs import Runs
from learning_hub.services.subscriber_checks import SubscriberChecks
from learning_hub.services.subscribers import Subscribers
from learning_hub.services.subscription_checks import SubscriptionChecks
from learning_hub.services.subscriptions import Subscriptions
from learning_hub.services.targets import TargetLists
from learning_hub.services.test_sends import TestSends
from learning_hub.services.visible_metrics import VisibleMetrics
from learning_hub.settings import Settings, SettingsError
from learning_hub.store import connectors, subscribers
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.statistics import Statistics
from learning_hub.store.vault import Vault

if TYPE_CHECKING:
    from learning_hub.api.http.middleware import ApiMiddleware

log = logging.getLogger(__name__)


@asynccontextmanager
async def run_hub(settings: Settings, database: Database, *, with_worker: bool = True) -> AsyncIterator[ApiMiddleware]:
    """One hub process on an open, migrated database: its API, its jobs and, with *with_worker*, its worker."""
    async with run_services(settings, database, with_worker=with_worker) as (services, notifications):
        # Importing Litestar is a quarter of a command's start, and commands call the services without it.
        from learning_hub.api.app import build_app

        yield build_app(services, settings, stop_waiting=notifications.close)


@asynccontextmanager
async def run_worker(settings: Settings, database: Database) -> AsyncIterator[None]:
    """A process that only makes and sends deliveries."""
    async with run_services(settings, database):
        yield


@asynccontextmanager
async def run_services(
    settings: Settings,
    database: Database,
    *,
    with_worker: bool = True,
    with_jobs: bool = True,
    with_schedules: bool = True,
) -> AsyncIterator[tuple[Services, Notifications]]:
    """
    The services on an open database, and their background jobs.

    Args:
        settings: The settings of the hub.
        database: An open, migrated database.
        with_worker: Send deliveries; without a worker, another process sends them.
        with_jobs: Write published events, read the feed and close runs. Without jobs the services only read and change
            the database, and notify other processes.
        with_schedules: Run subscriptions at the times of their schedules; requires jobs.
    """
    await synchronise_connectors(database)
    async with AsyncExitStack() as stack:
        running = Jobs()
        parts = await stack.enter_async_context(_parts(settings, database))
        services = _services(settings, parts, running)
        stack.push_async_callback(services.authenticator.flush)
        # A command ends as soon as it has changed something; its notifications must still be published.
        stack.push_async_callback(parts.notifications.flush)
        jobs = [parts.notifications.publish()]
        if with_jobs:
            await _encrypt_settings(parts)
            # The lock outlives the runs that gather, so that other processes do not close them as abandoned before they
            # stop.
            await stack.enter_async_context(running.running([parts.runner.hold_liveness_lock()]))
            jobs += [
                parts.notifications.listen(),
                parts.writer.run(),
                services.authenticator.note_use(),
                parts.enqueuer.run(),
                parts.runner.close_runs(),
                parts.bulk_changer.run(),
                Statistics(database).run(),
                database.follow_epoch(),
            ]
        if with_jobs and with_schedules:
            jobs.append(Scheduler(database, parts.notifications, parts.runner).run())
        if with_worker:
            worker = build_worker(settings, parts)
            # The lock outlives the attempts, which finish before it is released.
            await stack.enter_async_context(running.running([worker.hold_liveness_lock()]))
            jobs.append(worker.run())
        stack.push_async_callback(parts.runner.stop)
        await stack.enter_async_context(running.running(jobs))
        yield services, parts.notifications


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The objects that services and jobs of one process share."""

    database: Database
    notifications: Notifications
    vault: Vault
    connector_factory: ConnectorFactory
    renderer: Renderer
    connections: Connections
    participant_lookup: ParticipantLookup
    payload_renderer: PayloadRenderer
    previewer: Previewer
    writer: Writer
    enqueuer: Enqueuer
    bulk_changer: BulkChanger
    gathering: Gathering
    runner: Runner


async def synchronise_connectors(database: Database) -> None:
    """Write the capabilities of each kind of subscriber to the database."""
    await connectors.synchronise(
        database,
        [
            connectors.Capabilities(
                name=name,
                one_record_for=kind.one_record_for,
                sends_batches=kind.batch is not None,
                key_fields=kind.key_fields,
            )
            for name, kind in KINDS.items()
        ],
    )


async def _encrypt_settings(parts: _Parts) -> None:
    """Encrypt what an earlier version stored in clear text; a hub without a key serves, and says so."""
    try:
        changed = await subscribers.encrypt_settings(
            parts.database, parts.vault, {name: kind.secret_settings for name, kind in KINDS.items()}
        )
    except KeysMissing as error:
        log.warning("settings_not_encrypted", extra={"reason": error.detail})
        return
    if changed:
        log.info("settings_encrypted", extra={"subscribers": changed})


@asynccontextmanager
async def _parts(settings: Settings, database: Database) -> AsyncIterator[_Parts]:
    notifications = Notifications(database)
    vault = Vault.of(settings)
    connector_factory = ConnectorFactory(guard_of(settings), timeout_seconds=settings.send_timeout_seconds)
    enqueuer = Enqueuer(database, notifications)
    gathering = Gathering(database, enqueuer)
    participant_lookup = ParticipantLookup(database, remembered_seconds=settings.participant_remembered_seconds)
    async with AsyncExitStack() as stack:
        renderer = await stack.enter_async_context(Renderer(processes=settings.render_processes))
        payload_renderer = PayloadRenderer(database, renderer)
        connections = Connections(database, vault, connector_factory)
        stack.push_async_callback(connections.close)
        yield _Parts(
            database=database,
            notifications=notifications,
            vault=vault,
            connector_factory=connector_factory,
            renderer=renderer,
            connections=connections,
            participant_lookup=participant_lookup,
            payload_renderer=payload_renderer,
            previewer=Previewer(database, participant_lookup, payload_renderer),
            writer=Writer(database, notifications),
            enqueuer=enqueuer,
            bulk_changer=BulkChanger(database, notifications),
            gathering=gathering,
            runner=Runner(database, notifications, gathering),
        )


def _services(settings: Settings, parts: _Parts, running: Jobs) -> Services:
    database, notifications, previewer = parts.database, parts.notifications, parts.previewer
    wait_seconds = settings.run_wait_seconds
    authenticator = Authenticator(database, settings.admin_key)
    publisher = Publisher(database, parts.writer)
    discovery = TargetDiscovery(database, parts.connections)
    status = HubStatus(database, running)
    preview_limit = PreviewLimit()
    subscription_checks = SubscriptionChecks(database, parts.renderer, preview_limit, discovery)
    subscriptions = Subscriptions(database, subscription_checks, notifications, parts.bulk_changer)
    return Services(
        audit_log=AuditLog(database),
        authenticator=authenticator,
        batch_publishing=BatchPublishing(
            database, publisher, max_body_bytes=settings.max_body_bytes, max_data_bytes=settings.max_data_bytes
        ),
        deliveries=Deliveries(database, notifications, parts.bulk_changer, pause_seconds=settings.pause_alarm_seconds),
        event_validation=EventValidation(database, publisher, previewer, preview_limit),
        events=Events(database, publisher, notifications, max_data_bytes=settings.max_data_bytes),
        feed=Feed(database, notifications),
        keys=Keys(database, authenticator),
        panels=Panels(
            database,
            parts.connections,
            PanelSubscriptions(database, subscriptions),
            prefix=settings.panel_prefix,
            answer_seconds=wait_seconds,
        ),
        participants=ParticipantMatches(database, notifications),
        previews=Previews(database, previewer, parts.renderer, preview_limit, max_data_bytes=settings.max_data_bytes),
        programs=Programs(database, parts.bulk_changer),
        publisher=publisher,
        reconciliations=Reconciliations(database, parts.connections, parts.runner, wait_seconds=wait_seconds),
        run_logs=RunLogs(database, notifications),
        runs=Runs(database, parts.runner, parts.gathering, previewer, wait_seconds=wait_seconds),
        status=status,
        subscriber_checks=SubscriberChecks(database, parts.vault, parts.connections, notifications),
        subscribers=Subscribers(database, parts.vault, parts.connector_factory, notifications, parts.bulk_changer),
        subscriptions=subscriptions,
        targets=TargetLists(database, discovery, answer_seconds=wait_seconds),
        test_sends=TestSends(database, parts.runner, notifications, wait_seconds=wait_seconds),
        visible_metrics=VisibleMetrics(database, status),
    )


def build_worker(settings: Settings, parts: _Parts) -> Worker:
    retries = RetryPolicy(
        steps_seconds=settings.retry_seconds,
        settle_seconds=settings.settle_seconds,
        probe_seconds=settings.probe_seconds,
    )
    limits = WorkerLimits(
        lease_seconds=settings.lease_seconds,
        retries=retries,
        pause_alarm_seconds=settings.pause_alarm_seconds,
        restored_days=settings.restored_days,
    )
    return Worker(
        parts.database, parts.notifications, parts.connections, parts.participant_lookup, parts.payload_renderer, limits
    )


def guard_of(settings: Settings) -> Guard:
    """
    The guard of the settings. Only the guard knows its rules, so errors in the entries are found here.

    Raises:
        SettingsError: LEARNING_HUB_ALLOWED_PRIVATE_TARGETS has an entry that is not a host or a network.
    """
    try:
        return Guard(settings.allowed_private_targets)
    except ValueError as error:
        raise SettingsError(str(error)) from None
