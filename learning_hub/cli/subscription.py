"""learning-hub subscription …."""

from __future__ import annotations

from functools import partial
from typing import Any

import rich_click as click

from learning_hub.cli.local import Answer, Api, ask, talk
from learning_hub.cli.nouns import add_delete, add_list, add_show, path_of
from learning_hub.cli.options import file_option, json_option, read_object
from learning_hub.cli.printing import print_json, print_object, print_warnings
from learning_hub.cli.reconciling import print_reconciliation, reconcile_to_the_end
from learning_hub.cli.running import run_to_the_end

# What a PUT takes; the rest of what is shown of a subscription is the hub's own.
CHANGEABLE = (
    "Name", "SubscriberId", "ProgramId", "PublisherSystemId", "EventTypes", "Target", "Templates", "Schedule",
    "TimeZone", "OnWithdraw", "OnReopened", "State", "StartFrom",
)  # fmt: skip


@click.group()
def subscription() -> None:
    """Subscriptions: which events a subscriber gets, where they land, and their templates."""


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@file_option
@click.option("--preset", "Preset", help="Ready-made mapping to begin with; preset list names them.")
@click.option("--subscriber", "SubscriberId", help="Who gets the events.")
@click.option("--program", "ProgramId", help="Whose events.")
@click.option("--name", "Name", help="What people call it.")
@click.option("--schedule", "Schedule", help="realtime, manual or a cron expression.")
@click.option("--start-from", "StartFrom", help="now, beginning or a time; fixed once it is made.")
@json_option
def put(*, subscription_id: str, file: str | None, as_json: bool, **options: str | None) -> None:
    """
    Make or change a subscription.

    The body comes from a file, from options, or from both, where an option counts before the file.
    """
    body = read_object(file) | {name: value for name, value in options.items() if value is not None}
    print_object(ask("PUT", path_of("subscriptions", subscription_id), body=body), as_json=as_json)


add_list(
    subscription,
    "subscriptions",
    ["SubscriptionId", "Name", "ProgramId", "SubscriberId", "Schedule", "State", "ArchivedUtc"],
    "List subscriptions.",
    [
        click.option("--program", "ProgramId", help="Only those for events of this Program."),
        click.option("--subscriber", "SubscriberId", help="Only those of this subscriber."),
    ],
)
add_show(subscription, "subscriptions", "Show a subscription with its templates.")
add_delete(
    subscription,
    "subscriptions",
    "archive",
    "archived",
    "Archive a subscription: it sends nothing more, its history stays.",
)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def start(*, subscription_id: str, as_json: bool) -> None:
    """Start a subscription: what waited for it goes out."""
    _set_state(subscription_id, "started", as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def stop(*, subscription_id: str, as_json: bool) -> None:
    """Stop a subscription: its events are held, none is dropped."""
    _set_state(subscription_id, "stopped", as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--event-id", help="Stored event to render.")
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="Event in a file.")
@json_option
def preview(*, subscription_id: str, event_id: str | None, file: str | None, as_json: bool) -> None:
    """Show what would be sent for an event, or the error with its place; sends nothing."""
    body: dict[str, Any] = {"EventId": event_id} if event_id else {}
    if file:
        body["Event"] = read_object(file)
    answer = ask("POST", path_of("subscriptions", subscription_id, "preview"), body=body)
    print_object(answer, as_json=as_json)
    if answer.value["Error"]:
        raise SystemExit(1)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--event-id", required=True, help="Event to send.")
@json_option
def test(*, subscription_id: str, event_id: str, as_json: bool) -> None:
    """Send one event for real, now, and show the attempt."""
    path = path_of("subscriptions", subscription_id, "test")

    async def conversation(api: Api) -> Answer:
        return await api.ask("POST", path, body={"EventId": event_id})

    print_object(talk(conversation, with_worker=True), as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def run(*, subscription_id: str, as_json: bool) -> None:
    """Run once: everything since the subscription's place, and what waits."""
    run_to_the_end(path_of("subscriptions", subscription_id, "run"), None, as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--bucket", "EventDateBucket", help="Date bucket whose events are meant, as NURSES-LB-20261122.")
@click.option("--from", "FromUtc", help="Events stored from this time on; with --to.")
@click.option("--to", "ToUtc", help="Events stored before this time.")
@click.option("--put-back", is_flag=True, help="Send again what is missing.")
@json_option
def reconcile(*, subscription_id: str, put_back: bool, as_json: bool, **span: str | None) -> None:
    """
    Compare what was sent with what iMIS holds.

    The exit status is 1 where something is different, unknown, or missing and not put back.
    """
    body = {name: value for name, value in span.items() if value is not None} | {"PutBack": put_back}
    path = path_of("subscriptions", subscription_id, "reconcile")
    found = talk(partial(reconcile_to_the_end, path=path, body=body), with_worker=put_back)
    print_reconciliation(found, as_json=as_json)
    if found["Different"] or found["Unknown"] or (found["Missing"] and not put_back):
        raise SystemExit(1)


def _set_state(subscription_id: str, state: str, *, as_json: bool) -> None:
    path = path_of("subscriptions", subscription_id)

    async def conversation(api: Api) -> Answer:
        there = (await api.ask("GET", path)).value
        body = {name: there[name] for name in CHANGEABLE if name in there}
        return await api.ask("PUT", path, body=body | {"State": state})

    answer = talk(conversation)
    if as_json:
        print_json(answer.content)
    else:
        click.echo(f"{subscription_id} is {state}.")
        print_warnings(answer)
