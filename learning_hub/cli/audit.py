"""learning-hub audit …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, Options, read_options
from learning_hub.cli.nouns import add_list


@click.group()
def audit() -> None:
    """The audit log: who changed what."""


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.services.audit_log import AuditQuery

    return await hub.services.audit_log.page(read_options(options, AuditQuery))


add_list(
    audit,
    _page,
    ["AtUtc", "KeyName", "Action", "ObjectType", "ObjectId"],
    "List changes, newest first; with --json also the values before and after.",
    [
        click.option("--type", "ObjectType", help="Only changes of objects of this type, such as subscriber."),
        click.option("--id", "ObjectId", help="Only changes of the object with this id."),
    ],
)
