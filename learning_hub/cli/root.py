"""The root of the command line: its commands in groups, and one way to fail."""

from __future__ import annotations

from typing import Any

import rich_click as click

import learning_hub as package
from learning_hub.cli.failing import told
from learning_hub.cli.migrate import migrate
from learning_hub.cli.openapi import openapi
from learning_hub.cli.sandbox import sandbox_imis
from learning_hub.cli.serve import serve
from learning_hub.cli.work import work


class Root(click.RichGroup):
    """A failure that is known is told in a sentence on stderr, and sets the exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        with told(ctx):
            return super().invoke(ctx)


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are environment variables; settings.example.env explains each of them.",
)
@click.version_option(package.__version__, prog_name="learning-hub", message="%(prog)s %(version)s")
@click.command_panel("Run the hub", commands=["serve", "work", "migrate"])
@click.command_panel("Develop", commands=["sandbox-imis", "openapi"])
def learning_hub() -> None:
    """The Learning Hub: brings what people learned from the systems where it happens to those that must know."""


for command in (serve, work, migrate, sandbox_imis, openapi):
    learning_hub.add_command(command)
