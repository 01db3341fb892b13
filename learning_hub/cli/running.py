"""Runs that a command starts: a worker of this process delivers meanwhile, and the end is waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import rich_click as click

from learning_hub.cli.failing import FailedError
from learning_hub.cli.local import Answer, Api, talk
from learning_hub.cli.printing import print_fields, print_json

LOOK_EVERY_SECONDS = 0.5
COUNTS = (
    "Matched", "Delivered", "Unchanged", "Waiting", "Retrying", "Parked", "Skipped", "Superseded", "Discarded",
)  # fmt: skip


async def end_of_run(api: Api, path: str) -> Answer:
    """The run at *path* once it has ended."""
    while True:
        answer = await api.ask("GET", path)
        if answer.value["State"] != "running":
            return answer
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def run_to_the_end(path: str, body: Any, *, as_json: bool) -> None:
    """Start the run that the API starts at *path*, wait for its end, and print what became of it."""

    async def conversation(api: Api) -> Answer:
        answer = await api.ask("POST", path, body=body)
        return answer if answer.location is None else await end_of_run(api, answer.location)

    answer = talk(conversation, with_worker=True)
    value = answer.value
    if as_json:
        print_json(answer.content)
    else:
        counts = value.get("Counts", value)
        print_fields({"RunId": value["RunId"], **{name: counts[name] for name in COUNTS if name in counts}})
        for preview in value.get("Previews", []):
            click.echo("")
            print_fields(preview)
    if value.get("State") == "failed":
        raise FailedError(value.get("Message") or "The run failed.")
