"""learning-hub participant …."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rich_click as click

from learning_hub.cli.local import Hub, call, fields_of, read_options
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

PROGRAM = click.option("--program", "ProgramId", required=True, help="Program of the participant.")
SYSTEM = click.option("--system", "PublisherSystemId", help="Only for this publisher system of the Program.")


@click.group()
def participant() -> None:
    """Participants: which contact of a subscriber a publisher's participant is."""


def _of_one(command: Callable[..., Any]) -> Callable[..., Any]:
    """The parameters that name one participant: the subscriber, its id at the publisher, Program and system."""
    for decorate in (json_option, SYSTEM, PROGRAM):
        command = decorate(command)
    command = click.argument("participant_id", metavar="PARTICIPANT")(command)
    return click.argument("subscriber_id", metavar="SUBSCRIBER")(command)


@participant.command()
@_of_one
@click.option("--as", "settled_as", required=True, metavar="ID", help="The participant's id at the subscriber.")
def settle(*, subscriber_id: str, participant_id: str, settled_as: str, as_json: bool, **query: str | None) -> None:
    """Match a participant with a subscriber's contact, and requeue the participant's parked deliveries."""

    async def match_participant(hub: Hub) -> Any:
        from learning_hub.services.participants import ParticipantQuery

        return await hub.services.participants.match(
            hub.caller,
            subscriber_id,
            participant_id,
            read_options(query, ParticipantQuery),
            fields_of({"SubscriberParticipantId": settled_as}),
        )

    print_object(call(match_participant), as_json=as_json)


@participant.command()
@_of_one
def show(*, subscriber_id: str, participant_id: str, as_json: bool, **query: str | None) -> None:
    """Show the remembered match of a participant."""

    async def get_participant(hub: Hub) -> Any:
        from learning_hub.services.participants import ParticipantQuery

        names = read_options(query, ParticipantQuery)
        return await hub.services.participants.get(hub.caller, subscriber_id, participant_id, names)

    print_object(call(get_participant), as_json=as_json)


@participant.command()
@_of_one
def forget(*, subscriber_id: str, participant_id: str, as_json: bool, **query: str | None) -> None:
    """Forget the match of a participant: it is looked up again."""

    async def forget_participant(hub: Hub) -> None:
        from learning_hub.services.participants import ParticipantQuery

        names = read_options(query, ParticipantQuery)
        await hub.services.participants.forget(hub.caller, subscriber_id, participant_id, names)

    call(forget_participant)
    if as_json:
        print_json(None)
    else:
        click.echo(f"{participant_id} is forgotten.")


@participant.command("list")
@click.argument("subscriber_id", metavar="SUBSCRIBER")
@PROGRAM
@page_options
@json_option
def list_matched(*, subscriber_id: str, as_json: bool, **query: Any) -> None:
    """List the participants that were matched by hand."""

    async def page_participants(hub: Hub) -> Any:
        from learning_hub.services.participants import ParticipantsQuery

        return await hub.services.participants.page(hub.caller, subscriber_id, read_options(query, ParticipantsQuery))

    print_page(
        call(page_participants),
        ["PublisherParticipantId", "PublisherSystemId", "SubscriberParticipantId", "SettledBy", "ChangedUtc"],
        as_json=as_json,
    )
