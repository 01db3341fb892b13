"""What commands of several nouns have in common: list, show, archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import rich_click as click

from learning_hub.cli.local import ask
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

Decorator = Callable[[Any], Any]


def path_of(*parts: str) -> str:
    """The path of the API with these parts, ids among them as they are."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def add_list(
    group: click.RichGroup, collection: str, columns: Sequence[str], summary: str, filters: Sequence[Decorator] = ()
) -> None:
    """Give *group* the command `list`; *filters* are options named as the API's query parameters."""

    @json_option
    @page_options
    def command(*, as_json: bool, **query: Any) -> None:
        print_page(ask("GET", path_of(collection), query), columns, as_json=as_json)

    for option in reversed(filters):
        command = option(command)
    group.command("list", help=summary)(command)


def add_show(group: click.RichGroup, collection: str, summary: str) -> None:
    """Give *group* the command `show ID`."""

    @group.command("show", help=summary)
    @click.argument("name", metavar="ID")
    @json_option
    def command(*, name: str, as_json: bool) -> None:
        print_object(ask("GET", path_of(collection, name)), as_json=as_json)


def add_delete(group: click.RichGroup, collection: str, verb: str, done: str, summary: str) -> None:
    """Give *group* the command *verb*, which ends something; *done* is what was done to it."""

    @group.command(verb, help=summary)
    @click.argument("name", metavar="ID")
    @json_option
    def command(*, name: str, as_json: bool) -> None:
        path = path_of(collection, name)
        ask("DELETE", path)
        if as_json:
            print_json(ask("GET", path).content)
        else:
            click.echo(f"{name} is {done}.")
