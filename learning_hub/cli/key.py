"""learning-hub key …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_end, add_list, add_show
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_fields, print_json, values_of

SCOPES = ("publish", "read", "process", "staff", "admin")


@click.group()
def key() -> None:
    """API keys: their Programs, scopes and expiry."""


@key.command()
@click.option("--name", required=True, help="The person or system that uses the key.")
@click.option(
    "--program", "programs", multiple=True, required=True, help='Program the key is for; may be repeated; "*" for all.'
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What the key may do; may be repeated.",
)
@click.option("--expires", metavar="TIME", help="When the key expires, such as 2027-12-31T00:00:00Z.")
@json_option
def create(
    *, name: str, programs: tuple[str, ...], scopes: tuple[str, ...], expires: str | None, as_json: bool
) -> None:
    """Make a key and print it; it cannot be shown again."""
    body = {"Name": name, "Programs": list(programs), "Scopes": list(scopes), "ExpiresUtc": expires}
    created = call(lambda hub: hub.services.keys.create(hub.caller, fields_of(body)))
    if as_json:
        print_json(created)
        return
    print_fields({field: value for field, value in values_of(created).items() if field != "Key"})
    click.echo("\nThe key, which cannot be shown again:\n")
    click.echo(created.key)


@key.command()
@click.argument("key_id")
@click.option("--name", help="Another name.")
@click.option(
    "--expires", metavar="TIME", help="When the key expires, such as 2027-12-31T00:00:00Z; `never` for never."
)
@json_option
def update(*, key_id: str, name: str | None, expires: str | None, as_json: bool) -> None:
    """Change the name of a key, or when it expires."""
    if name is None and expires is None:
        raise click.UsageError("Give --name, --expires, or both.")
    patch: dict[str, Any] = {"Name": name} if name is not None else {}
    if expires is not None:
        patch["ExpiresUtc"] = None if expires == "never" else expires

    async def change(hub: Hub) -> Any:
        from learning_hub.model.precondition import NO_PRECONDITION

        return await hub.services.keys.patch(hub.caller, key_id, fields_of(patch), NO_PRECONDITION)

    changed = call(change)
    if as_json:
        print_json(changed)
        return
    print_fields(values_of(changed))


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.model.pagination import PageQuery

    return await hub.services.keys.page(read_options(options, PageQuery))


async def _get(hub: Hub, key_id: str) -> Any:
    return await hub.services.keys.get(key_id)


async def _revoke(hub: Hub, key_id: str) -> None:
    await hub.services.keys.revoke(hub.caller, key_id)


add_list(
    key,
    _page,
    ["KeyId", "Name", "Programs", "Scopes", "ExpiresUtc", "LastUsedUtc", "RevokedUtc"],
    "List all keys, including revoked and expired ones.",
)
add_show(key, _get, "Show a key, without its secret.")
add_end(key, _revoke, _get, "revoke", "revoked", "Revoke a key: the hub refuses it within a second.")
