"""The root of the command line: its commands in groups, and how they fail."""

from __future__ import annotations

from typing import Any

import rich_click as click

import learning_hub as package
from learning_hub.cli.audit import audit
from learning_hub.cli.delivery import delivery
from learning_hub.cli.demo import demo
from learning_hub.cli.doctor import doctor
from learning_hub.cli.failures import report_failures
from learning_hub.cli.key import key
from learning_hub.cli.migrate import migrate
from learning_hub.cli.openapi import openapi
from learning_hub.cli.participant import participant
from learning_hub.cli.preset import preset
from learning_hub.cli.program import program
from learning_hub.cli.publish import publish
from learning_hub.cli.run import run
from learning_hub.cli.sandbox_imis import sandbox_imis
from learning_hub.cli.serve import serve
from learning_hub.cli.subscriber import subscriber
from learning_hub.cli.subscription import subscription
from learning_hub.cli.work import work

PANELS: dict[str, tuple[click.Command, ...]] = {
    "Run the hub": (serve, work, migrate, doctor),
    "Set up": (program, key, subscriber, subscription, preset),
    "Look after deliveries": (delivery, participant, run, audit),
    "Publish and try out": (publish, demo, sandbox_imis, openapi),
}


class Root(click.RichGroup):
    """The root group, which reports expected failures as a sentence on stderr and sets the exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        with report_failures(ctx):
            return super().invoke(ctx)


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are environment variables; settings.example.env explains each of them.",
)
@click.version_option(package.__version__, prog_name="learning-hub", message="%(prog)s %(version)s")
def learning_hub() -> None:
    """The Learning Hub: delivers events from learning systems to association systems such as iMIS."""


for title, commands in PANELS.items():
    click.command_panel(title, commands=[str(command.name) for command in commands])(learning_hub)
    for command in commands:
        learning_hub.add_command(command)
