"""learning-hub participant …."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rich_click as click

from learning_hub.cli.local import ask
from learning_hub.cli.nouns import path_of
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

PROGRAM = click.option("--program", "ProgramId", required=True, help="Whose participant it is.")
SYSTEM = click.option("--system", "PublisherSystemId", help="Of this system of the Program alone.")


@click.group()
def participant() -> None:
    """Participants: who a publisher's participants are at subscribers."""


def _of_one(command: Callable[..., Any]) -> Callable[..., Any]:
    """What names one participant: the subscriber, its id at the publisher, Program and system."""
    for decorate in (json_option, SYSTEM, PROGRAM):
        command = decorate(command)
    command = click.argument("participant_id", metavar="PARTICIPANT")(command)
    return click.argument("subscriber_id", metavar="SUBSCRIBER")(command)


@participant.command()
@_of_one
@click.option("--as", "settled_as", required=True, metavar="ID", help="The participant's id at the subscriber.")
def settle(*, subscriber_id: str, participant_id: str, settled_as: str, as_json: bool, **query: str | None) -> None:
    """Settle who a participant is, until changed, and put the person's parked deliveries back."""
    body = {"SubscriberParticipantId": settled_as}
    print_object(
        ask("PUT", path_of("subscribers", subscriber_id, "participants", participant_id), query, body),
        as_json=as_json,
    )


@participant.command()
@_of_one
def show(*, subscriber_id: str, participant_id: str, as_json: bool, **query: str | None) -> None:
    """Show who a participant is, as far as is remembered."""
    print_object(
        ask("GET", path_of("subscribers", subscriber_id, "participants", participant_id), query), as_json=as_json
    )


@participant.command()
@_of_one
def forget(*, subscriber_id: str, participant_id: str, as_json: bool, **query: str | None) -> None:
    """Forget who a participant is: it is looked up again."""
    ask("DELETE", path_of("subscribers", subscriber_id, "participants", participant_id), query)
    if as_json:
        print_json(b"")
    else:
        click.echo(f"{participant_id} is forgotten.")


@participant.command("list")
@click.argument("subscriber_id", metavar="SUBSCRIBER")
@PROGRAM
@page_options
@json_option
def list_settled(*, subscriber_id: str, as_json: bool, **query: Any) -> None:
    """List the participants that were settled by hand."""
    print_page(
        ask("GET", path_of("subscribers", subscriber_id, "participants"), query),
        ["PublisherParticipantId", "PublisherSystemId", "SubscriberParticipantId", "SettledBy", "ChangedUtc"],
        as_json=as_json,
    )
