"""learning-hub publish."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from learning_hub.cli.failing import FailedError
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_json

if TYPE_CHECKING:
    from learning_hub.cli.publishing import Report

SHOWN_FAILURES = 20


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Address of the hub.")
@click.option(
    "--key", envvar="HUB_KEY", show_envvar=True, help="Key with the scope publish; better in the variable HUB_KEY."
)
@click.option(
    "--connections", type=click.IntRange(1, 256), default=32, show_default=True, help="Events to send side by side."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    help="Seconds to go on trying while the hub does not answer.",
)
@json_option
def publish(*, file: str, url: str, key: str | None, connections: int, patience: float, as_json: bool) -> None:
    """
    Publish the events in FILE, one JSON object a line, to a hub; - is stdin.

    What was published is kept in FILE.published, so that the same command goes on where it was stopped, and sends
    again only what was changed or refused. Nothing is stored twice.
    """
    if not key:
        raise FailedError("A key is needed: set HUB_KEY, or give --key.")
    report = asyncio.run(_publish(file, url.rstrip("/"), key, connections, patience))
    _print(report, as_json=as_json)
    if report.failed:
        raise SystemExit(1)


async def _publish(file: str, url: str, key: str, connections: int, patience_seconds: float) -> Report:
    import httpx

    from learning_hub.cli.progress_file import ProgressFile
    from learning_hub.cli.publishing import Publishing

    beside = None if file == "-" else Path(f"{file}.published")
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    with ProgressFile(beside, url) as progress, _progress_bar(_count(file)) as advance:
        try:
            async with httpx.AsyncClient(
                base_url=url, headers={"X-API-Key": key}, limits=limits, timeout=60, follow_redirects=False
            ) as client:
                publishing = Publishing(
                    client, progress, connections=connections, patience_seconds=patience_seconds, advance=advance
                )
                return await publishing.publish(_lines(file))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise FailedError(f"{url} is no address of a hub: {error}.") from error


def _lines(file: str) -> Iterator[bytes]:
    if file == "-":
        yield from sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield from stream


def _count(file: str) -> int | None:
    """How many events are in *file*; None for stdin, which can be read once."""
    return None if file == "-" else sum(1 for line in _lines(file) if line.strip())


@contextmanager
def _progress_bar(total: int | None) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("Publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("publish", total=total)
        yield lambda: progress.advance(task)


def _print(report: Report, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json(msgspec.json.encode(report))
        return
    click.echo(f"{report.new} new, {report.same} the hub had already, {len(report.failed)} refused.")
    if report.before:
        click.echo(f"{report.before} were published before and not sent again.")
    for bad in report.failed[:SHOWN_FAILURES]:
        click.echo(f"Line {bad.line}: {bad.detail}", err=True)
        for error in bad.errors:
            click.echo(f"  {error['field']}: {error['message']}", err=True)
    if len(report.failed) > SHOWN_FAILURES:
        click.echo(f"And {len(report.failed) - SHOWN_FAILURES} more; --json shows all.", err=True)
