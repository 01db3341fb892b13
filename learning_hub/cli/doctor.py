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
    Look whether everything is well, and say what to do where it is not.

    It looks at the settings, the database, what holds the feed back, each subscriber, and the deliveries that are
    parked. It changes nothing. The exit status is 1 if something is wrong.
    """
    import asyncio

    from learning_hub.cli.diagnosis import examine

    findings = asyncio.run(examine())
    is_well = all(finding.state != "wrong" for finding in findings)
    if as_json:
        print_json({"Works": is_well, "Checks": findings})
    else:
        _print(findings)
    if not is_well:
        raise SystemExit(1)


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        sign, colour = SIGNS[finding.state]
        click.echo(f"{click.style(sign, fg=colour)} {finding.name}: {finding.message}")
        if finding.advice:
            click.echo(f"      {finding.advice}")
