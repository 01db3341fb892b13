"""learning-hub subscription …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_end, add_list, add_show
from learning_hub.cli.options import file_option, json_option, read_object
from learning_hub.cli.printing import print_json, print_object
from learning_hub.cli.reconciling import print_reconciliation, reconcile_to_the_end
from learning_hub.cli.running import run_to_the_end


@click.group()
def subscription() -> None:
    """Subscriptions: which events a subscriber gets, their target, and their templates."""


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@file_option
@click.option("--preset", "Preset", help="Ready-made mapping to use; preset list names them.")
@click.option("--subscriber", "SubscriberId", help="Subscriber that gets the events.")
@click.option("--program", "ProgramId", help="Program of the events.")
@click.option("--name", "Name", help="Name of the subscription.")
@click.option("--schedule", "Schedule", help="realtime, manual or a cron expression.")
@click.option("--start-from", "StartFrom", help="now, beginning or a time; cannot be changed later.")
@json_option
def put(*, subscription_id: str, file: str | None, as_json: bool, **options: str | None) -> None:
    """
    Make or change a subscription.

    The body comes from a file, from options, or from both; an option takes precedence over the file.
    """
    body = read_object(file) | {name: value for name, value in options.items() if value is not None}

    async def put_subscription(hub: Hub) -> Any:
        return (await hub.services.subscriptions.put(hub.caller, subscription_id, fields_of(body))).shown

    print_object(call(put_subscription), as_json=as_json)


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.services.subscriptions import SubscriptionsQuery

    return await hub.services.subscriptions.page(hub.caller, read_options(options, SubscriptionsQuery))


async def _get(hub: Hub, subscription_id: str) -> Any:
    return await hub.services.subscriptions.get(hub.caller, subscription_id)


async def _archive(hub: Hub, subscription_id: str) -> None:
    await hub.services.subscriptions.archive(hub.caller, subscription_id)


add_list(
    subscription,
    _page,
    ["SubscriptionId", "Name", "ProgramId", "SubscriberId", "Schedule", "State", "ArchivedUtc"],
    "List subscriptions.",
    [
        click.option("--program", "ProgramId", help="Only those for events of this Program."),
        click.option("--subscriber", "SubscriberId", help="Only those of this subscriber."),
    ],
)
add_show(subscription, _get, "Show a subscription with its templates.")
add_end(
    subscription,
    _archive,
    _get,
    "archive",
    "archived",
    "Archive a subscription: it sends no more events, its history stays.",
)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def start(*, subscription_id: str, as_json: bool) -> None:
    """Start a subscription: its held deliveries are sent."""
    saved = call(lambda hub: hub.services.subscriptions.start(hub.caller, subscription_id))
    _print_state(saved, as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def stop(*, subscription_id: str, as_json: bool) -> None:
    """Stop a subscription: its deliveries are held, none is lost."""
    saved = call(lambda hub: hub.services.subscriptions.stop(hub.caller, subscription_id))
    _print_state(saved, as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--event-id", help="Stored event to render.")
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="Event in a file.")
@json_option
def preview(*, subscription_id: str, event_id: str | None, file: str | None, as_json: bool) -> None:
    """Show the payload for an event, or the error and its path in the template; nothing is sent."""
    body: dict[str, Any] = {"EventId": event_id} if event_id else {}
    if file:
        body["Event"] = read_object(file)
    shown = call(lambda hub: hub.services.previews.preview(hub.caller, subscription_id, fields_of(body)))
    print_object(shown, as_json=as_json)
    if shown.error:
        raise SystemExit(1)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--event-id", required=True, help="Event to send.")
@json_option
def test(*, subscription_id: str, event_id: str, as_json: bool) -> None:
    """Send one event to the subscriber at once, and show the attempt."""
    fields = fields_of({"EventId": event_id})
    sent = call(lambda hub: hub.services.test_sends.send(hub.caller, subscription_id, fields), with_worker=True)
    print_object(sent, as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@json_option
def run(*, subscription_id: str, as_json: bool) -> None:
    """Run once: send all events since the subscription's checkpoint, and all held deliveries."""
    run_to_the_end(lambda hub: hub.services.runs.run_subscription(hub.caller, subscription_id), as_json=as_json)


@subscription.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--bucket", "EventDateBucket", help="Compare the events of this date bucket, such as NURSES-LB-20261122.")
@click.option("--from", "FromUtc", help="Events stored at or after this time; with --to.")
@click.option("--to", "ToUtc", help="Events stored before this time.")
@click.option("--put-back", is_flag=True, help="Send missing records again.")
@json_option
def reconcile(*, subscription_id: str, put_back: bool, as_json: bool, **span: str | None) -> None:
    """
    Compare the sent records with those that iMIS holds.

    The exit status is 1 if a record is different, unknown, or missing and not sent again.
    """
    body = {name: value for name, value in span.items() if value is not None} | {"PutBack": put_back}
    found = call(lambda hub: reconcile_to_the_end(hub, subscription_id, body), with_worker=put_back)
    print_reconciliation(found, as_json=as_json)
    if found["Different"] or found["Doubled"] or found["Unknown"] or (found["Missing"] and not put_back):
        raise SystemExit(1)


def _print_state(saved: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(saved)
    else:
        click.echo(f"{saved.subscription_id} is {saved.state}.")
