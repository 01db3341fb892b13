"""learning-hub delivery …."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rich_click as click
from msgspec import UnsetType

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, Options, call, fields_of, read_options
from learning_hub.cli.nouns import add_list, add_show
from learning_hub.cli.options import json_option, page_options
from learning_hub.cli.printing import print_json, print_object, print_page

FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--state", "State", help="Only deliveries in this state, such as parked or retrying."),
    click.option("--program", "ProgramId", help="Only deliveries of this Program."),
    click.option("--subscription", "SubscriptionId", help="Only deliveries of this subscription."),
    click.option("--subscriber", "SubscriberId", help="Only deliveries to this subscriber."),
    click.option("--class", "Class", help="Only deliveries that this party has to fix, such as data or refused."),
    click.option("--code", "Code", help="Only deliveries with this reason, such as participant_not_found."),
    click.option("--signature", "Signature", help="Only deliveries of this group of failures."),
    click.option("--event", "EventId", help="Only deliveries of this event."),
)


@click.group()
def delivery() -> None:
    """Deliveries: each sends one event to the subscriber of one subscription."""


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
    """List failed deliveries, grouped by cause; requeue --signature requeues a group."""

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
    """Requeue a delivery, or all deliveries that match the filters."""
    _need_one_or_filters(delivery_id, filters)
    if delivery_id:
        print_object(call(lambda hub: hub.services.deliveries.requeue(hub.caller, delivery_id)), as_json=as_json)
        return

    async def requeue_all(hub: Hub) -> Any:
        from learning_hub.services.delivery_filters import RequeueQuery

        return await hub.services.deliveries.requeue_all(hub.caller, read_options(filters, RequeueQuery))

    requeued = call(requeue_all)
    if as_json:
        print_json(requeued)
    else:
        click.echo(f"{requeued.requeued} requeued{_by_runs(requeued.run_ids)}.")


@delivery.command()
@click.argument("delivery_id", metavar="[ID]", required=False)
@_with_filters
@click.option("--reason", required=True, help="Why it will not be sent; stored with it.")
@json_option
def discard(*, delivery_id: str | None, reason: str, as_json: bool, **filters: str | None) -> None:
    """Discard a delivery, or all parked or skipped ones that match the filters; this is final."""
    fields = fields_of({"Reason": reason})
    _need_one_or_filters(delivery_id, filters)
    if delivery_id:
        print_object(
            call(lambda hub: hub.services.deliveries.discard(hub.caller, delivery_id, fields)), as_json=as_json
        )
        return

    async def discard_all(hub: Hub) -> Any:
        from learning_hub.services.delivery_filters import DiscardQuery

        return await hub.services.deliveries.discard_all(hub.caller, read_options(filters, DiscardQuery), fields)

    discarded = call(discard_all)
    if as_json:
        print_json(discarded)
    else:
        click.echo(f"{discarded.discarded} discarded{_by_runs(discarded.run_ids)}.")


def _need_one_or_filters(delivery_id: str | None, filters: Mapping[str, str | None]) -> None:
    has_filter = any(value is not None for value in filters.values())
    if delivery_id and has_filter:
        raise FailedError("Give either the id of a delivery or filters.")
    if not delivery_id and not has_filter:
        raise FailedError("Give the id of a delivery, or filters such as --state parked.")


def _by_runs(run_ids: Sequence[str] | UnsetType) -> str:
    """The runs that go on with what did not fit into the command."""
    return f" by the runs {', '.join(run_ids)}, in batches" if run_ids else ""
