"""The checks of `doctor`: each reports a finding and, if something is wrong, what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

import msgspec

from learning_hub.cli.local import Hub, open_hub

if TYPE_CHECKING:
    from learning_hub.model.delivery import Delivery
    from learning_hub.model.subscriber import ShownSubscriber
    from learning_hub.settings import Settings

OLDEST_VERSION = 15
MOST_PARKED = 10_000


class Finding(msgspec.Struct, frozen=True, rename="pascal"):
    """The result of one check. *state* is `look` if a person should look although nothing is broken."""

    name: str
    state: Literal["fine", "look", "wrong"]
    message: str
    advice: str = ""


async def examine() -> list[Finding]:
    """All findings, without the checks that an earlier finding makes impossible."""
    from learning_hub.cli.startup import begin_command
    from learning_hub.settings import SettingsError

    try:
        return await _examine(begin_command())
    except SettingsError as error:
        return [Finding("Settings", "wrong", str(error), "settings.example.env explains each setting.")]


async def _examine(settings: Settings) -> list[Finding]:
    from learning_hub.cli.failures import FailedError
    from learning_hub.model.errors import LearningHubError
    from learning_hub.store.database_server import DatabaseNotReadyError, run_database_server

    findings = [_settings(settings)]
    try:
        async with run_database_server(settings) as address:
            if lacking := await _missing_migrations(address):
                return [*findings, lacking]
            database = await _database(address)
            findings += database
            if all(finding.state != "wrong" for finding in database):
                async with open_hub(msgspec.structs.replace(settings, database_url=address)) as hub:
                    findings += [finding async for finding in _hub(hub)]
    except (DatabaseNotReadyError, LearningHubError, FailedError) as error:
        findings.append(Finding("Database", "wrong", str(error), _database_advice(settings)))
    return findings


def _database_advice(settings: Settings) -> str:
    if settings.database_url is None:
        return f"The server's log is in {settings.home.resolve() / 'postgres'}."
    return "See LEARNING_HUB_DATABASE_URL and the server's log."


def _settings(settings: Settings) -> Finding:
    where = "an embedded database" if settings.database_url is None else "the database of LEARNING_HUB_DATABASE_URL"
    message = f"All settings are valid; the hub uses {where} and the home {settings.home.resolve()}."
    if settings.database_url is not None and not settings.secret_keys:
        return Finding(
            "Settings",
            "look",
            f"{message} The only key that credentials are encrypted with is in that home.",
            "Keep a copy of secret.key, or set LEARNING_HUB_SECRET_KEYS; hubs on several machines need the setting.",
        )
    return Finding("Settings", "fine", message)


async def _missing_migrations(address: str) -> Finding | None:
    """A finding if the database lacks migrations of this version, as a new one does; the rest needs them."""
    from learning_hub.store import migrations
    from learning_hub.store.database_server import reachable

    with reachable():
        missing = await migrations.missing(address)
        if not missing or await migrations.unknown(address):
            return None
    is_new = "0001_pre_first_release" in missing
    message = "The database is new." if is_new else f"The database lacks {', '.join(missing)}."
    return Finding(
        "Database",
        "look",
        message,
        "learning-hub serve brings it up to date when it starts; or run learning-hub migrate.",
    )


async def _database(address: str) -> list[Finding]:
    from learning_hub.store import catalog
    from learning_hub.store.database import Database
    from learning_hub.store.database_server import bring_up_to_date
    from learning_hub.store.feed_delay import delay_findings

    await bring_up_to_date(address, migrate=False)
    database = Database(address, max_connections=2)
    await database.open()
    try:
        async with database.connection() as connection:
            version = connection.get_server_version()
            full_version = str(await connection.fetchval("SHOW server_version"))
            differences = await catalog.differences(connection)
        held = await delay_findings(database)
    finally:
        await database.close()
    name = f"PostgreSQL {full_version.split(maxsplit=1)[0]}"
    if version.major < OLDEST_VERSION:
        return [
            Finding(
                "Database", "wrong", f"The server is {name}.", f"The hub needs PostgreSQL {OLDEST_VERSION} or newer."
            )
        ]
    findings = [Finding("Database", "fine", f"{name} answers, and is up to date.")]
    if differences:
        advice = "Make it as it is in schema.sql."
        findings = [Finding("Database", "wrong", one.sentence, advice) for one in differences]
    if not held:
        return [*findings, Finding("Feed", "fine", "Nothing holds it back.")]
    advice = "Find out what the transaction does, and end it if it hangs."
    return [*findings, *(Finding("Feed", "wrong", sentence, advice) for sentence in held)]


async def _hub(hub: Hub) -> AsyncIterator[Finding]:
    async for subscriber in _all_subscribers(hub):
        if subscriber.archived_utc is None:
            yield await _subscriber(hub, subscriber)
    async for finding in _parked(hub):
        yield finding
    async for finding in _without_template(hub):
        yield finding


async def _subscriber(hub: Hub, subscriber: ShownSubscriber) -> Finding:
    from learning_hub.model.clock import written

    name = f"Subscriber {subscriber.subscriber_id}"
    pause, fix = subscriber.paused, f"Fix it, then: learning-hub subscriber check {subscriber.subscriber_id}"
    if pause and pause.next_probe_utc is None:
        # The doctor may be called every minute, and each sign-in with a refused password may lead to a lock-out.
        since = written(pause.since_utc)
        return Finding(name, "wrong", f"{pause.message} The subscriber is paused since {since}.", fix)
    check = await hub.services.subscriber_checks.check(hub.caller, subscriber.subscriber_id)
    message = " ".join(check.findings)
    if not check.works:
        address = subscriber.settings.get("BaseUrl") or subscriber.settings.get("Url")
        # The query of a webhook's address may hold a secret, and the report may be mailed.
        address = address.partition("?")[0] if address else None
        if address and address not in message:
            message = f"{message} Its address is {address}."
        return Finding(name, "wrong", message, fix)
    if pause:
        return Finding(name, "look", f"{message} It was paused: {pause.message}")
    if any(detail.state == "look" for detail in check.details):
        return Finding(name, "look", message)
    return Finding(name, "fine", message)


async def _parked(hub: Hub) -> AsyncIterator[Finding]:
    groups: Counter[tuple[str, str, str]] = Counter()
    async for delivery in _parked_deliveries(hub):
        groups[delivery.code or "-", delivery.class_ or "-", delivery.advice or ""] += 1
    if not groups:
        yield Finding("Deliveries", "fine", "None is parked.")
    for (code, failure_class, advice), count in groups.most_common():
        number = f"{count} or more" if count >= MOST_PARKED else str(count)
        yield Finding(
            "Deliveries",
            "wrong" if failure_class == "hub" else "look",
            f"{number} parked: {code}.",
            f"{advice} To requeue: learning-hub delivery requeue --state parked --code {code}".strip(),
        )


async def _without_template(hub: Hub) -> AsyncIterator[Finding]:
    from learning_hub.services.delivery_filters import GroupsQuery

    page = await hub.services.deliveries.groups(hub.caller, GroupsQuery(code="no_template", state="skipped"))
    for group in page.items:
        yield Finding(
            f"Subscription {group.subscription_id}",
            "look",
            f"{group.count} skipped: {group.message}",
            f"{group.advice} To requeue: learning-hub delivery requeue --signature {group.signature}",
        )
    if page.next_cursor is not None:
        yield Finding(
            "Subscriptions",
            "look",
            "More categories have no template.",
            "To see them: learning-hub delivery groups --code no_template",
        )


async def _all_subscribers(hub: Hub) -> AsyncIterator[ShownSubscriber]:
    from learning_hub.model.pagination import PageQuery

    cursor = None
    while True:
        page = await hub.services.subscribers.page(hub.caller, PageQuery(limit=1000, cursor=cursor))
        for subscriber in page.items:
            yield subscriber
        if (cursor := page.next_cursor) is None:
            return


async def _parked_deliveries(hub: Hub) -> AsyncIterator[Delivery]:
    """Parked deliveries, MOST_PARKED at most."""
    from learning_hub.services.delivery_filters import DeliveriesQuery

    cursor, seen = None, 0
    while seen < MOST_PARKED:
        query = DeliveriesQuery(state="parked", limit=1000, cursor=cursor)
        page = await hub.services.deliveries.page(hub.caller, query)
        for delivery in page.items:
            yield delivery
        cursor, seen = page.next_cursor, seen + len(page.items)
        if cursor is None:
            return
