"""learning-hub run …."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_list, add_show
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_line
from learning_hub.cli.running import run_to_the_end

if TYPE_CHECKING:
    from learning_hub.model.run_log import RunLine


@click.group()
def run() -> None:
    """Runs: passes of the process stage over a set of events."""


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.model.pagination import PageQuery

    return await hub.services.runs.page(hub.caller, read_options(options, PageQuery))


async def _get(hub: Hub, run_id: str) -> Any:
    return await hub.services.runs.get(hub.caller, run_id)


add_list(
    run, _page, ["RunId", "ProgramId", "Trigger", "State", "StartedUtc", "FinishedUtc"], "List runs, newest first."
)
add_show(run, _get, "Show a run with its counts.")


@run.command()
@click.argument("run_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Continue until the run ends.")
@json_option
def log(*, run_id: str, follow: bool, as_json: bool) -> None:
    """Show what happened in a run, line by line."""

    async def print_log(hub: Hub) -> None:
        from learning_hub.model.run_log import START

        def print_lines(lines: list[RunLine]) -> None:
            for line in lines:
                print_line(line, ("AtUtc", "DeliveryId", "Message"), as_json=as_json)

        run_logs = hub.services.run_logs
        logged_run = await run_logs.need(hub.caller, run_id)
        if not follow:
            async for lines in run_logs.read(run_id, logged_run):
                print_lines(lines)
            return
        async for part in run_logs.follow(run_id, logged_run, START):
            print_lines([line for _, line in part.lines])

    call(print_log)


@run.command()
@click.option("--bucket", help="Process the events of this date bucket, such as NURSES-LB-20261122.")
@click.option("--program", help="Program; alone: process all events since each subscription's checkpoint.")
@click.option("--subscription", help="Only for this subscription, even if it is stopped.")
@click.option("--event", "events", multiple=True, help="Process this event; may be repeated.")
@click.option("--replay", is_flag=True, help="Also events delivered before; each becomes a new delivery.")
@click.option("--dry-run", is_flag=True, help="Render only; store and send nothing.")
@json_option
def start(
    *,
    bucket: str | None,
    program: str | None,
    subscription: str | None,
    events: tuple[str, ...],
    replay: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Process events and wait for the end of the run.

    The run sends nothing twice. A worker of this process delivers meanwhile, so that no hub needs to run.
    """
    named = {
        "EventDateBucket": bucket,
        "ProgramId": program,
        "SubscriptionId": subscription,
        "EventIds": list(events) or None,
    }
    if not any(named.values()):
        raise FailedError("Select events with --bucket, --program, --subscription or --event.")
    body = {name: value for name, value in named.items() if value} | {"Replay": replay, "DryRun": dry_run}

    async def process(hub: Hub) -> Any:
        return await hub.services.runs.process(hub.caller, fields_of(body))

    run_to_the_end(process, as_json=as_json)
