"""learning-hub subscriber …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.failing import FailedError
from learning_hub.cli.local import ask
from learning_hub.cli.nouns import add_delete, add_list, add_show, path_of
from learning_hub.cli.options import file_option, json_option, read_file
from learning_hub.cli.printing import print_json, print_object, print_page


@click.group()
def subscriber() -> None:
    """Subscribers: the systems that want to know, and how to reach them."""


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@file_option
@json_option
def put(*, subscriber_id: str, file: str | None, as_json: bool) -> None:
    """
    Make or change a subscriber.

    The body has Name, Connector, Settings and Credentials; without Credentials those it has are kept. Give credentials
    through a file or stdin, so that they stay out of the shell's history.
    """
    if file is None:
        raise FailedError("The body is needed: --file body.json, or --file - for stdin.")
    print_object(ask("PUT", path_of("subscribers", subscriber_id), body=read_file(file)), as_json=as_json)


add_list(subscriber, "subscribers", ["SubscriberId", "Name", "Connector", "Paused", "ArchivedUtc"], "List subscribers.")
add_show(subscriber, "subscribers", "Show a subscriber, without its credentials.")
add_delete(
    subscriber, "subscribers", "archive", "archived", "Archive a subscriber: it gets nothing more, its history stays."
)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@json_option
def check(*, subscriber_id: str, as_json: bool) -> None:
    """Sign in at a subscriber and say what was found; nothing is written there."""
    answer = ask("POST", path_of("subscribers", subscriber_id, "check"))
    if as_json:
        print_json(answer.content)
    else:
        click.echo(f"{subscriber_id} {'works' if answer.value['Works'] else 'does not work'}.")
        for finding in answer.value["Findings"]:
            click.echo(f"  {finding}")
    if not answer.value["Works"]:
        raise SystemExit(1)


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@json_option
def targets(*, subscriber_id: str, as_json: bool) -> None:
    """List where events can land at a subscriber, asked there just now."""
    print_page(
        ask("GET", path_of("subscribers", subscriber_id, "targets")), ["Name", "Kind", "Message"], as_json=as_json
    )


@subscriber.command()
@click.argument("subscriber_id", metavar="ID")
@click.argument("target")
@json_option
def fields(*, subscriber_id: str, target: str, as_json: bool) -> None:
    """List the fields of a target at a subscriber, asked there just now."""
    answer = ask("GET", path_of("subscribers", subscriber_id, "targets", target, "fields"))
    print_page(answer, ["Name", "Type", "Length", "Required"], as_json=as_json)


@subscriber.command("create-panel")
@click.argument("subscriber_id", metavar="ID")
@click.option("--name", required=True, help="Of the panel source, as lh_openwater.")
@json_option
def create_panel(*, subscriber_id: str, name: str, as_json: bool) -> None:
    """Create a panel at an iMIS with the hub's basic fields."""
    body = {"Name": name, "Fields": "basic"}
    print_object(ask("POST", path_of("subscribers", subscriber_id, "panels"), body=body), as_json=as_json)


@subscriber.command("settle-participant")
@click.argument("subscriber_id", metavar="ID")
@click.argument("participant")
@click.argument("subscriber_participant")
@click.option("--program", "ProgramId", required=True, help="The Program whose participant it is.")
@click.option("--system", "PublisherSystemId", help="Only for events of this publisher system.")
@json_option
def settle_participant(
    *,
    subscriber_id: str,
    participant: str,
    subscriber_participant: str,
    ProgramId: str,  # noqa: N803 - options named as the API's query parameters
    PublisherSystemId: str | None,  # noqa: N803
    as_json: bool,
) -> None:
    """
    Say who PARTICIPANT is at a subscriber.

    The person's parked deliveries are put back.
    """
    path = path_of("subscribers", subscriber_id, "participants", participant)
    query = {"ProgramId": ProgramId, "PublisherSystemId": PublisherSystemId}
    body = {"SubscriberParticipantId": subscriber_participant}
    print_object(ask("PUT", path, query, body), as_json=as_json)
