"""learning-hub run …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.failing import FailedError
from learning_hub.cli.local import Api, talk
from learning_hub.cli.nouns import add_list, add_show, path_of
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_line
from learning_hub.cli.running import run_to_the_end


@click.group()
def run() -> None:
    """Runs: passes of the process stage over a set of events."""


add_list(
    run, "runs", ["RunId", "ProgramId", "Trigger", "State", "StartedUtc", "FinishedUtc"], "List runs, newest first."
)
add_show(run, "runs", "Show a run with its counts.")


@run.command()
@click.argument("run_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Go on until the run is over.")
@json_option
def log(*, run_id: str, follow: bool, as_json: bool) -> None:
    """Show what happened in a run, line by line."""

    async def conversation(api: Api) -> None:
        async for line in api.lines(path_of("runs", run_id, "log"), is_live=follow):
            print_line(line, ("AtUtc", "DeliveryId", "Message"), as_json=as_json)

    talk(conversation)


@run.command()
@click.option("--bucket", help="Date bucket whose events are meant, as NURSES-LB-20261122.")
@click.option("--program", help="Program; alone it means everything since each subscription's place.")
@click.option("--subscription", help="Only for this subscription, also when it is stopped.")
@click.option("--event", "events", multiple=True, help="Event that is meant; may be repeated.")
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
    Process events and wait for the end.

    It sends nothing twice. A worker of this process delivers meanwhile, so that no hub needs to be running.
    """
    named = {
        "EventDateBucket": bucket,
        "ProgramId": program,
        "SubscriptionId": subscription,
        "EventIds": list(events) or None,
    }
    if not any(named.values()):
        raise FailedError("Say which events: --bucket, --program, --subscription or --event.")
    body = {name: value for name, value in named.items() if value} | {"Replay": replay, "DryRun": dry_run}
    run_to_the_end(path_of("processEvents"), body, as_json=as_json)
