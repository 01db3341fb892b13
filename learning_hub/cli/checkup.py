"""What `doctor` looks at: each check says what it found and, where that is not well, what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from learning_hub.cli.local import Api, open_api
from learning_hub.cli.nouns import path_of

if TYPE_CHECKING:
    from learning_hub.settings import Settings

OLDEST_VERSION = 15
MIGRATE = "learning-hub migrate"
MOST_PARKED = 10_000


class Finding(msgspec.Struct, frozen=True, rename="pascal"):
    """One thing that was looked at. *state* is `look` where a person should look, without anything being broken."""

    name: str
    state: Literal["fine", "look", "wrong"]
    message: str
    advice: str = ""


async def examine() -> list[Finding]:
    """All findings; what cannot be looked at because of an earlier one is left out."""
    from learning_hub.cli.beginning import begin_command
    from learning_hub.settings import SettingsError

    try:
        return await _examine(begin_command())
    except SettingsError as error:
        return [Finding("Settings", "wrong", str(error), "settings.example.env explains each setting.")]


async def _examine(settings: Settings) -> list[Finding]:
    from learning_hub.cli.failing import FailedError
    from learning_hub.main import DatabaseNotReadyError, run_database_server
    from learning_hub.model.errors import LearningHubError

    findings = [_settings(settings)]
    try:
        async with run_database_server(settings) as address:
            database = await _database(address)
            findings += database
            if all(finding.state != "wrong" for finding in database):
                async with open_api(msgspec.structs.replace(settings, database_url=address)) as api:
                    findings += [finding async for finding in _hub(api)]
    except (DatabaseNotReadyError, LearningHubError, FailedError) as error:
        findings.append(Finding("Database", "wrong", str(error), _database_advice(settings, str(error))))
    return findings


def _database_advice(settings: Settings, told: str) -> str:
    if MIGRATE in told:
        return ""
    if settings.database_url is None:
        return f"The server's log is in {settings.home.resolve() / 'postgres'}."
    return "See LEARNING_HUB_DATABASE_URL and the server's log."


def _settings(settings: Settings) -> Finding:
    where = "an embedded database" if settings.database_url is None else "the database of LEARNING_HUB_DATABASE_URL"
    message = f"All can be read; the hub uses {where} and the home {settings.home.resolve()}."
    if settings.database_url is not None and not settings.secret_keys:
        return Finding(
            "Settings",
            "look",
            f"{message} Credentials are encrypted with a key in that home alone.",
            "Keep a copy of secret.key, or set LEARNING_HUB_SECRET_KEYS; hubs on several machines need the setting.",
        )
    return Finding("Settings", "fine", message)


async def _database(address: str) -> list[Finding]:
    from learning_hub.main import bring_up_to_date
    from learning_hub.store.checkpoints import open_transactions
    from learning_hub.store.database import Database

    await bring_up_to_date(address, migrate=False)
    database = Database(address, max_connections=2)
    await database.open()
    try:
        async with database.connection() as connection:
            version = connection.get_server_version()
        held = await open_transactions(database)
    finally:
        await database.close()
    name = f"PostgreSQL {version.major}.{version.minor}"
    if version.major < OLDEST_VERSION:
        return [Finding("Database", "wrong", f"It is {name}.", f"The hub needs PostgreSQL {OLDEST_VERSION} or newer.")]
    findings = [Finding("Database", "fine", f"{name} answers, and is up to date.")]
    if not held:
        return [*findings, Finding("Feed", "fine", "Nothing holds it back.")]
    advice = "Find out what that process does, and end it if it hangs."
    return [*findings, *(Finding("Feed", "wrong", sentence, advice) for sentence in held)]


async def _hub(api: Api) -> AsyncIterator[Finding]:
    async for subscriber in _every(api, "subscribers"):
        if subscriber["ArchivedUtc"] is None:
            yield await _subscriber(api, subscriber)
    async for finding in _parked(api):
        yield finding


async def _subscriber(api: Api, subscriber: dict[str, Any]) -> Finding:
    subscriber_id = subscriber["SubscriberId"]
    name = f"Subscriber {subscriber_id}"
    paused, mend = subscriber.get("Paused"), f"Mend it, then: learning-hub subscriber check {subscriber_id}"
    if paused and paused["NextProbeUtc"] is None:
        # The doctor may be called every minute, and each sign-in with a refused password may bring a lock-out nearer.
        return Finding(name, "wrong", f"{paused['Message']} It is paused since {paused['SinceUtc']}.", mend)
    check = (await api.ask("POST", path_of("subscribers", subscriber_id, "check"))).value
    message = " ".join(check["Findings"])
    if not check["Works"]:
        address = subscriber["Settings"].get("BaseUrl") or subscriber["Settings"].get("Url")
        if address and address not in message:
            message = f"{message} Its address is {address}."
        return Finding(name, "wrong", message, mend)
    if paused:
        return Finding(name, "look", f"{message} It was paused: {paused['Message']}")
    if any(one["State"] == "look" for one in check["Details"]):
        return Finding(name, "look", message)
    return Finding(name, "fine", message)


async def _parked(api: Api) -> AsyncIterator[Finding]:
    groups: Counter[tuple[str, str, str]] = Counter()
    async for delivery in _every(api, "deliveries", {"State": "parked"}, MOST_PARKED):
        groups[delivery["Code"] or "-", delivery["Class"] or "-", delivery["Advice"] or ""] += 1
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


async def _every(
    api: Api, collection: str, query: dict[str, Any] | None = None, most: int = 100_000
) -> AsyncIterator[dict[str, Any]]:
    """The items of a list, over all of its pages, up to *most*."""
    cursor, seen = None, 0
    while True:
        page = (await api.ask("GET", path_of(collection), {**(query or {}), "Limit": 1000, "Cursor": cursor})).value
        for item in page["Items"]:
            yield item
        cursor, seen = page["NextCursor"], seen + len(page["Items"])
        if cursor is None or seen >= most:
            return
