"""Runs that a command starts: a worker of this process delivers meanwhile, and the command waits for the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, call
from learning_hub.cli.printing import print_fields, print_json, values_of

if TYPE_CHECKING:
    from learning_hub.model.run import Run, RunResult
    from learning_hub.services.runs import Unfinished

POLL_SECONDS = 0.5
COUNTS = (
    "Matched", "Delivered", "Unchanged", "Waiting", "Retrying", "Parked", "Skipped", "Superseded", "Discarded",
)  # fmt: skip


async def end_of_run(hub: Hub, run_id: str) -> Run:
    """The run once it has ended."""
    while True:
        run = await hub.services.runs.get(hub.caller, run_id)
        if run.state != "running":
            return run
        await asyncio.sleep(POLL_SECONDS)


def run_to_the_end(start: Callable[[Hub], Awaitable[RunResult | Unfinished]], *, as_json: bool) -> None:
    """Start a run, wait for its end, and print its counts."""

    async def start_and_wait(hub: Hub) -> RunResult | Run:
        from learning_hub.services.runs import Unfinished

        started = await start(hub)
        return await end_of_run(hub, started.run_id) if isinstance(started, Unfinished) else started

    result = call(start_and_wait, with_worker=True)
    value = values_of(result)
    if as_json:
        print_json(result)
    else:
        counts = value.get("Counts", value)
        print_fields({"RunId": value["RunId"], **{name: counts[name] for name in COUNTS if name in counts}})
        for preview in value.get("Previews", []):
            click.echo("")
            print_fields(preview)
    if value.get("State") == "failed":
        raise FailedError(value.get("Message") or "The run failed.")
