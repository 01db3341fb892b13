"""learning-hub publish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_json

if TYPE_CHECKING:
    from learning_hub.cli.publishing.event_file import EventFile
    from learning_hub.cli.publishing.publishing import Report

SHOWN_FAILURES = 20
TIMEOUT_SECONDS = 60
# The status that a shell reports for a program that SIGINT ended.
STOPPED = 130
WENT_BACK = "The hub lacks events that were published before: it was restored. All events were sent again."


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the hub.")
@click.option(
    "--key", envvar="HUB_KEY", show_envvar=True, help="Key with the scope publish; better in the variable HUB_KEY."
)
@click.option(
    "--connections", type=click.IntRange(1, 256), default=4, show_default=True, help="Batches to send in parallel."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    help="Seconds to retry while the hub does not answer.",
)
@json_option
def publish(*, file: str, url: str, key: str | None, connections: int, patience: float, as_json: bool) -> None:
    """
    Publish the events in FILE to a hub; - is stdin.

    FILE has one JSON object a line, or is a JSON document of one event or of an array of events. FILE.published records
    the published events, so that the same command continues where it was stopped, and sends only events that were
    changed or refused. The hub does not store an event twice. If the hub was restored and lacks events that were
    published, all are sent again.
    """
    if not key:
        raise FailedError("A key is needed: set HUB_KEY, or give --key.")
    from learning_hub.cli.publishing.event_file import EventFile
    from learning_hub.cli.publishing.publishing import Report

    report, events = Report(), EventFile(file)
    try:
        asyncio.run(_publish(events, report, HubAddress(url.rstrip("/"), key, connections, patience)))
    except KeyboardInterrupt:
        _print(report, events.unit, as_json=as_json)
        click.echo(f"Stopped. {_how_to_continue(events)}", err=True)
        raise SystemExit(STOPPED) from None
    except FailedError as error:
        if not report.answered:
            raise
        text = f"{error}\nBefore that: {_counts(report)} {_how_to_continue(events)}"
        raise FailedError(text) from error
    _print(report, events.unit, as_json=as_json)
    if report.failed:
        raise SystemExit(1)


class HubAddress(NamedTuple):
    """The hub to publish to, and the options."""

    address: str
    key: str
    connections: int
    patience_seconds: float


async def _publish(events: EventFile, report: Report, hub: HubAddress) -> None:
    import httpx

    from learning_hub.cli.publishing.client import Batches
    from learning_hub.cli.publishing.progress_file import ProgressFile
    from learning_hub.cli.publishing.publishing import Publishing
    from learning_hub.cli.publishing.restored_hub import lacks_published

    _need_address(hub.address)
    # A hub answers with and without /api alike.
    progress_file = ProgressFile(events.beside(".published"), hub.address.removesuffix("/api"))
    limits = httpx.Limits(max_connections=hub.connections, max_keepalive_connections=hub.connections)
    with progress_file as progress, _progress_bar(events.count()) as advance:
        try:
            async with httpx.AsyncClient(
                base_url=hub.address,
                headers={b"X-API-Key": hub.key.encode()},
                limits=limits,
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
            ) as client:
                if await lacks_published(client, progress, events, patience_seconds=hub.patience_seconds):
                    report.hub_went_back = True
                    progress.forget()
                publishing = Publishing(
                    Batches(client),
                    progress,
                    report,
                    connections=hub.connections,
                    patience_seconds=hub.patience_seconds,
                    advance=advance,
                )
                await publishing.publish(events)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise FailedError(f"{hub.address} is not the address of a hub: {error}.") from error


def _need_address(address: str) -> None:
    """
    Check that the address can be called.

    Raises:
        FailedError: The address has no host, or an impossible port.
    """
    import httpx

    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise FailedError(f"{address} is not the address of a hub: {error}.") from error
    if not url.host or not 0 < (url.port or 80) < 65536:
        raise FailedError(f"{address} is not the address of a hub: it needs a host, and a port from 1 to 65535 if any.")


@contextmanager
def _progress_bar(total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    # The terminal writes ^C after the bar; in a full line it would wrap, and the bar would not be erased.
    console.width = max(console.width - 3, 1)
    columns = (TextColumn("Publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("publish", total=total)
        yield lambda count: progress.advance(task, count)


def _print(report: Report, unit: str, *, as_json: bool) -> None:

    if as_json:
        print_json(report)
        return
    if report.hub_went_back is True:
        click.echo(WENT_BACK)
    click.echo(_counts(report))
    if report.before:
        click.echo(f"{report.before} were published before and were not sent again.")
    for bad in report.failed[:SHOWN_FAILURES]:
        click.echo(f"{unit} {bad.line}: {bad.detail}", err=True)
        for error in bad.errors:
            click.echo(f"  {error['field']}: {error['message']}", err=True)
    if len(report.failed) > SHOWN_FAILURES:
        click.echo(f"And {len(report.failed) - SHOWN_FAILURES} more; --json shows all.", err=True)


def _counts(report: Report) -> str:
    return f"{report.new} new, {report.same} the hub had already, {len(report.failed)} refused."


def _how_to_continue(events: EventFile) -> str:
    if events.can_be_read_again:
        return "The same command continues from there."
    return "To continue, send the same again: the hub does not store an event twice."
