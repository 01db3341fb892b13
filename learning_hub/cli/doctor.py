"""learning-hub doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_json

if TYPE_CHECKING:
    from learning_hub.cli.diagnosis import Finding

SIGNS = {"fine": ("ok   ", "green"), "look": ("look ", "yellow"), "wrong": ("WRONG", "red")}


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """
    Check the hub, and say what to do if something is wrong.

    Doctor checks the settings, the database, transactions that hold the feed back, each subscriber, and parked
    deliveries. It changes nothing. The exit status is 1 if something is wrong.
    """
    import asyncio

    from learning_hub.cli.diagnosis import examine

    findings = asyncio.run(examine())
    works = all(finding.state != "wrong" for finding in findings)
    if as_json:
        print_json({"Works": works, "Checks": findings})
    else:
        _print(findings)
    if not works:
        raise SystemExit(1)


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        sign, colour = SIGNS[finding.state]
        click.echo(f"{click.style(sign, fg=colour)} {finding.name}: {finding.message}")
        if finding.advice:
            click.echo(f"      {finding.advice}")
