"""learning-hub delivery …."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_list, add_show
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--state", "State", help="As parked or retrying."),
    click.option("--program", "ProgramId", help="Of this Program."),
    click.option("--subscription", "SubscriptionId", help="For this subscription."),
    click.option("--subscriber", "SubscriberId", help="For this subscriber."),
    click.option("--class", "Class", help="Who is responsible, as data or refused."),
    click.option("--code", "Code", help="Why it is where it is, as participant_not_found."),
    click.option("--signature", "Signature", help="Of this group of failures."),
    click.option("--event", "EventId", help="Of this event."),
)


@click.group()
def delivery() -> None:
    """Deliveries: the duty to bring one event to one subscription."""


async def _page(hub: Hub, options: Options) -> Any:
    from learning_hub.services.delivery_filters import DeliveriesQuery

    return await hub.services.deliveries.page(hub.caller, read_options(options, DeliveriesQuery))


async def _get(hub: Hub, delivery_id: str) -> Any:
    return await hub.services.deliveries.get(hub.caller, delivery_id)


add_list(
    delivery,
    _page,
    ["DeliveryId", "SubscriptionId", "State", "Code", "Attempts", "NextTryUtc", "Message"],
    "List deliveries, newest first.",
    FILTERS,
)
add_show(delivery, _get, "Show a delivery with its event and every attempt.")


def _with_filters(command: Any) -> Any:
    for option in reversed(FILTERS):
        command = option(command)
    return command


@delivery.command()
@_with_filters
@page_options
@json_option
def groups(*, as_json: bool, **query: Any) -> None:
    """List failures by like cause; requeue --signature puts those of one back together."""

    async def page_groups(hub: Hub) -> Any:
        from learning_hub.services.delivery_filters import GroupsQuery

        return await hub.services.deliveries.groups(hub.caller, read_options(query, GroupsQuery))

    print_page(
        call(page_groups),
        ["Signature", "Count", "Code", "Class", "SubscriptionId", "SubscriberId", "FirstUtc", "LastUtc", "Message"],
        as_json=as_json,
    )


@delivery.command()
@click.argument("delivery_id", metavar="[ID]", required=False)
@_with_filters
@json_option
def requeue(*, delivery_id: str | None, as_json: bool, **filters: str | None) -> None:
    """Put a delivery back into the queue, or all that the filters mean."""
    has_filter = any(value is not None for value in filters.values())
    if delivery_id and has_filter:
        raise FailedError("Give either the id of a delivery or filters.")
    if delivery_id:
        print_object(call(lambda hub: hub.services.deliveries.requeue(hub.caller, delivery_id)), as_json=as_json)
        return
    if not has_filter:
        raise FailedError("Say which: the id of a delivery, or filters such as --state parked.")

    async def requeue_all(hub: Hub) -> Any:
        from learning_hub.services.delivery_filters import RequeueQuery

        return await hub.services.deliveries.requeue_all(hub.caller, read_options(filters, RequeueQuery))

    requeued = call(requeue_all)
    if as_json:
        print_json(requeued)
    else:
        click.echo(f"{requeued.requeued} put back into the queue.")


@delivery.command()
@click.argument("delivery_id", metavar="ID")
@click.option("--reason", required=True, help="Why it is not to be sent; kept with it.")
@json_option
def discard(*, delivery_id: str, reason: str, as_json: bool) -> None:
    """Decide that a delivery is not to be sent; this is final."""
    fields = fields_of({"Reason": reason})
    print_object(call(lambda hub: hub.services.deliveries.discard(hub.caller, delivery_id, fields)), as_json=as_json)
