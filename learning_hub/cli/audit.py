"""learning-hub audit …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.nouns import add_list


@click.group()
def audit() -> None:
    """The audit log: who changed what."""


add_list(
    audit,
    "audit",
    ["AtUtc", "KeyName", "Action", "ObjectType", "ObjectId"],
    "List changes, newest first; with --json also what was before and after.",
    [
        click.option("--type", "ObjectType", help="Only changes of things of this type, as subscriber."),
        click.option("--id", "ObjectId", help="Only changes of the thing with this id."),
    ],
)
