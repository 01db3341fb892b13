"""The commands that several nouns share: list, show, and archive or revoke."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, Options, call
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

Decorator = Callable[[Any], Any]
# Each calls a service; options are named as the API's query parameters.
ListPage = Callable[[Hub, Options], Awaitable[Any]]
GetOne = Callable[[Hub, str], Awaitable[Any]]
EndOne = Callable[[Hub, str], Awaitable[None]]


def add_list(
    group: click.RichGroup,
    list_page: ListPage,
    columns: Sequence[str],
    summary: str,
    filters: Sequence[Decorator] = (),
) -> None:
    """Add the command `list` to *group*; *filters* are options named as the API's query parameters."""

    @json_option
    @page_options
    def command(*, as_json: bool, **query: Any) -> None:
        print_page(call(lambda hub: list_page(hub, query)), columns, as_json=as_json)

    for option in reversed(filters):
        command = option(command)
    group.command("list", help=summary)(command)


def add_show(group: click.RichGroup, get_one: GetOne, summary: str) -> None:
    """Add the command `show ID` to *group*."""

    @group.command("show", help=summary)
    @click.argument("name", metavar="ID")
    @json_option
    def command(*, name: str, as_json: bool) -> None:
        print_object(call(lambda hub: get_one(hub, name)), as_json=as_json)


def add_end(group: click.RichGroup, end_one: EndOne, get_one: GetOne, verb: str, done: str, summary: str) -> None:
    """Add the command *verb* to *group*, which ends an object; *done* is the participle of the verb."""

    @group.command(verb, help=summary)
    @click.argument("name", metavar="ID")
    @json_option
    def command(*, name: str, as_json: bool) -> None:
        async def end_and_get(hub: Hub) -> Any:
            await end_one(hub, name)
            return await get_one(hub, name) if as_json else None

        ended = call(end_and_get)
        if as_json:
            print_json(ended)
        else:
            click.echo(f"{name} is {done}.")
