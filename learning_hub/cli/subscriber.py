"""learning-hub subscriber …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_end, add_list, add_show
from learning_hub.cli.options import file_option, json_option, page_options, read_file, read_json_file
from learning_hub.cli.printing import print_json, print_object, print_page, print_table, print_warnings, values_of


@click.group()
def subscriber() -> None:
    """Subscribers: the systems that get events, and how to reach them."""


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@file_option
@json_option
def put(*, subscriber_id: str, file: str | None, as_json: bool) -> None:
    """
    Make or change a subscriber.

    The body has Name, Connector, Settings and Credentials; without Credentials the stored ones stay. Give credentials
    through a file or stdin, so that they stay out of the shell's history.
    """
    if file is None:
        raise FailedError("A body is required: --file body.json, or --file - for stdin.")
    fields = fields_of(read_file(file))

    async def put_subscriber(hub: Hub) -> Any:
        saved, _ = await hub.services.subscribers.put(hub.caller, subscriber_id, fields)
        return saved

    print_object(call(put_subscriber), as_json=as_json)


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.model.pagination import PageQuery

    return await hub.services.subscribers.page(hub.caller, read_options(options, PageQuery))


async def _get(hub: Hub, subscriber_id: str) -> Any:
    return await hub.services.subscribers.get(hub.caller, subscriber_id)


async def _archive(hub: Hub, subscriber_id: str) -> None:
    await hub.services.subscribers.archive(hub.caller, subscriber_id)


add_list(subscriber, _page, ["SubscriberId", "Name", "Connector", "Paused", "ArchivedUtc"], "List subscribers.")
add_show(subscriber, _get, "Show a subscriber, without its credentials.")
add_end(
    subscriber,
    _archive,
    _get,
    "archive",
    "archived",
    "Archive a subscriber: it gets no more events, its history stays.",
)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@click.option("--steps", "with_steps", is_flag=True, help="Add the steps to show the rows of each panel in iMIS.")
@json_option
def check(*, subscriber_id: str, with_steps: bool, as_json: bool) -> None:
    """Sign in at a subscriber and report the findings; nothing is written there."""
    result = call(lambda hub: hub.services.subscriber_checks.check(hub.caller, subscriber_id))
    checked = values_of(result)
    if as_json:
        print_json(result)
    else:
        click.echo(f"{subscriber_id} {how_it_works(checked)}.")
        for finding in checked["Findings"]:
            click.echo(f"  {finding}")
        for heading in steps_of(checked) if with_steps else ():
            click.echo(heading)
    if not checked["Works"]:
        raise SystemExit(1)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@json_option
@page_options
def targets(*, subscriber_id: str, as_json: bool, **query: Any) -> None:
    """Ask a subscriber for its targets: at iMIS, activities and panel sources."""

    async def page_targets(hub: Hub) -> Any:
        from learning_hub.model.pagination import PageQuery

        return await hub.services.targets.page(hub.caller, subscriber_id, read_options(query, PageQuery))

    page = call(page_targets)
    print_page(page, ["Name", "Kind", "Instances", "Description"], as_json=as_json)
    if not as_json:
        print_warnings(page.warnings)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@click.argument("name", metavar="NAME")
@json_option
@page_options
def fields(*, subscriber_id: str, name: str, as_json: bool, **query: Any) -> None:
    """
    Ask a subscriber for the fields of a target, such as a panel source, with type, length and required values.

    Fields that the hub or iMIS fills cannot be filled by a template.
    """

    async def page_fields(hub: Hub) -> Any:
        from learning_hub.model.pagination import PageQuery

        return await hub.services.targets.fields(hub.caller, subscriber_id, name, read_options(query, PageQuery))

    page = call(page_fields)
    columns = ["Name", "Label", "Type", "Length", "Required", "FilledBy", "Caption"]
    print_page(page, columns, as_json=as_json)
    if not as_json:
        print_warnings(page.warnings)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@click.argument("name", metavar="NAME")
@click.option(
    "--fields",
    default="basic",
    show_default=True,
    help="basic, or a JSON file with a list of fields: names, and objects with Name, Type and Length; - for stdin.",
)
@click.option("--program", "ProgramId", help="Make the subscription that fills the panel, stopped, for this Program.")
@click.option("--subscription", "SubscriptionId", help="Id of that subscription; left out: the beginning of NAME.")
@click.option("--read-only/--no-read-only", default=True, show_default=True, help="Flag added fields as read only.")
@json_option
def panel(
    *, subscriber_id: str, name: str, fields: str, read_only: bool, as_json: bool, **subscription: str | None
) -> None:
    """
    Make the panel source NAME at iMIS, or add fields to it; nothing is removed.

    With --json, the field Subscription is the body of a PUT of a subscription that fills the panel.
    """
    body: dict[str, Any] = {"Name": name, "Fields": "basic" if fields == "basic" else read_json_file(fields)}
    body |= {field: value for field, value in subscription.items() if value is not None}

    async def put_panel(hub: Hub) -> Any:
        made, _ = await hub.services.panels.put(hub.caller, subscriber_id, fields_of(body | {"ReadOnly": read_only}))
        return made

    panel = call(put_panel)
    if as_json:
        print_json(panel)
        return
    print_table(values_of(panel)["Fields"], ["Name", "Type", "Length"])
    click.echo()
    for finding in panel.findings:
        click.echo(finding)
    if panel.subscription_id is None:
        click.echo("To name the Program, run the command again with --program.")


def steps_of(checked: dict[str, Any]) -> list[str]:
    """The steps in iMIS that show the rows of each readable panel, as lines; or a line that no panel is readable."""
    lines: list[str] = []
    for one in checked["Details"]:
        if one["Steps"]:
            lines += ["", f"To show the rows of {one['Name']} in iMIS:"]
            lines += [f"  {number}. {step}" for number, step in enumerate(one["Steps"], 1)]
    return lines or ["", "No panel has rows that can be read, so no steps can show them."]


def how_it_works(checked: dict[str, Any]) -> str:
    """The result of a check in a few words: whether the subscriber works, and for which subscriptions it does not."""
    if checked["Works"]:
        return "works"
    wrong = [one for one in checked["Details"] if one["State"] == "wrong"]
    subscriptions = dict.fromkeys(name for one in wrong for name in one["SubscriptionIds"])
    if all(one["SubscriptionIds"] for one in wrong):
        return f"works, but not for {', '.join(subscriptions)}"
    return "does not work"
