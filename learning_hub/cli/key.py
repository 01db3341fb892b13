"""learning-hub key …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.local import ask
from learning_hub.cli.nouns import add_delete, add_list, add_show, path_of
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_fields, print_json

SCOPES = ("publish", "read", "process", "staff", "admin")


@click.group()
def key() -> None:
    """Keys: what opens the API and the console."""


@key.command()
@click.option("--name", required=True, help="Who or what uses it.")
@click.option(
    "--program", "programs", multiple=True, required=True, help='Program it is for; may be repeated; "*" for every one.'
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be repeated.",
)
@click.option("--expires", metavar="TIME", help="When it ends, as 2027-12-31T00:00:00Z.")
@json_option
def create(
    *, name: str, programs: tuple[str, ...], scopes: tuple[str, ...], expires: str | None, as_json: bool
) -> None:
    """Make a key and print it, this once."""
    body = {"Name": name, "Programs": list(programs), "Scopes": list(scopes), "ExpiresUtc": expires}
    answer = ask("POST", path_of("keys"), body=body)
    if as_json:
        print_json(answer.content)
        return
    print_fields({field: value for field, value in answer.value.items() if field != "Key"})
    click.echo("\nThe key, shown this once:\n")
    click.echo(answer.value["Key"])


add_list(
    key,
    "keys",
    ["KeyId", "Name", "Programs", "Scopes", "ExpiresUtc", "LastUsedUtc", "RevokedUtc"],
    "List the keys, revoked and expired ones as well.",
)
add_show(key, "keys", "Show a key, without its secret.")
add_delete(key, "keys", "revoke", "revoked", "Revoke a key: it opens nothing any more, within a second.")
