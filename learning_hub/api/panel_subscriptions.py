"""A subscription that fills a panel, made together with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from learning_hub.api.call import Call
from learning_hub.api.saving import make_subscription
from learning_hub.connectors.discovery import Built
from learning_hub.model.errors import Conflict, LearningHubError
from learning_hub.model.panel import KEY_LENGTH, RECORD_KEY, basic_template, is_basic, is_key
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import DEFAULT_TEMPLATE, Subscription
from learning_hub.store import programs, subscriptions

LONGEST_ID = 25
MOST_OF_A_NAME = 100
_PUT_IT = (
    "PUT what stands in this answer as Subscription; on the command line --json shows it, and subscription put takes "
    "it from a file"
)
EVENT_TYPES = ["AI_COMP_SUCCESS", "LPI_COMP_SUCCESS"]


async def subscription_for(
    call: Call, subscriber_id: str, built: Built, *, named: Collection[str], program_id: str | None
) -> tuple[dict[str, Any], list[str]]:
    """
    The body of a subscription that fills a panel as it stands, and what a person must know of it.

    Args:
        call: Of the request.
        subscriber_id: Where the panel is.
        built: The panel.
        named: Fields that were asked for, in lower case; they are filled together with the basic ones.
        program_id: Whose events fill it; None where that was not said.
    """
    words = []
    key = next((field for field in built.fields if is_key(field)), None)
    target: dict[str, Any] = {"Kind": "panel", "Name": built.name}
    if key is not None and key.type == "text" and (key.length or KEY_LENGTH) >= KEY_LENGTH:
        target["KeyProperty"] = key.name
    else:
        words.append(
            f"It has no field {RECORD_KEY.name} that holds the record key, so that its rows are matched by their "
            f"values. Add a text {RECORD_KEY.name}, {RECORD_KEY.length} long, and send the same again."
        )
    mapped = [
        field for field in built.fields if not is_key(field) and (field.name.casefold() in named or is_basic(field))
    ]
    program_id = program_id or await _only_program(call)
    if program_id is None:
        words.append(
            "Whose events fill it is not said, and there is not exactly one Program: name the Program, and send the "
            "same again."
        )
    body = {
        "Name": f"Events to {built.name}",
        "SubscriberId": subscriber_id,
        "ProgramId": program_id,
        "EventTypes": EVENT_TYPES,
        "Target": target,
        "Templates": {DEFAULT_TEMPLATE: basic_template(mapped)},
        "State": "stopped",
    }
    return body, words


async def _only_program(call: Call) -> str | None:
    """The Program in use, where there is no other."""
    found = [one for one in await programs.page(call.hub.database, None, "", 100) if one.archived_utc is None]
    return found[0].program_id if len(found) == 1 else None


async def filling(call: Call, subscriber_id: str, panel: str, program_id: str | None) -> Subscription | None:
    """The subscription in use that fills the panel, with events of the Program if one is named; None where unclear."""
    async with call.hub.database.connection() as connection:
        in_use = await subscriptions.in_use(connection, subscriber_id=subscriber_id)
    found = [one for one in in_use if goes_to(one, panel) and program_id in (None, one.program_id)]
    return found[0] if found and (program_id is not None or len(found) == 1) else None


def goes_to(subscription: Subscription, panel: str) -> bool:
    """Whether its records land in the panel."""
    target = subscription.target
    return target.get("Kind") == "panel" and str(target.get("Name", "")).casefold() == panel.casefold()


async def need_fitting(call: Call, subscriber: Subscriber, program_id: str, subscription_id: str) -> None:
    """
    Go on only if the subscription, where it is there, is of this Program to this subscriber.

    Raises:
        Conflict: It belongs to others.
    """
    there = await subscriptions.find(call.hub.database, subscription_id)
    if there and (there.program_id, there.subscriber_id) != (program_id, subscriber.subscriber_id):
        raise Conflict(
            f"There is a subscription {subscription_id} already: of {there.program_id} to {there.subscriber_id}. Name "
            "another SubscriptionId.",
            code="subscription_fixed",
        )


async def free_id(call: Call, panel: str) -> str:
    """An id for a subscription that fills the panel: one that is free, or of one that once did."""
    for number in range(1, MOST_OF_A_NAME):
        tail = "" if number == 1 else f"-{number}"
        subscription_id = f"{panel[: LONGEST_ID - len(tail)]}{tail}"
        there = await subscriptions.find(call.hub.database, subscription_id)
        if there is None or goes_to(there, panel):
            return subscription_id
    return panel[:LONGEST_ID]


def extended(there: Subscription, fresh: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The body of a PUT that leaves *there* as it is but for the keys that *fresh* has more, and these keys."""
    templates, new = there.templates, {}
    default: dict[str, Any] | None = templates.get(DEFAULT_TEMPLATE)
    if default is not None:
        has = {name.casefold() for name in default}
        wanted = fresh["Templates"][DEFAULT_TEMPLATE]
        new = {name: leaf for name, leaf in wanted.items() if name.casefold() not in has}
        templates = {**templates, DEFAULT_TEMPLATE: {**default, **new}}
    body = {
        "Name": there.name,
        "SubscriberId": there.subscriber_id,
        "ProgramId": there.program_id,
        "PublisherSystemId": there.publisher_system_id,
        "EventTypes": there.event_types,
        "Target": there.target,
        "Templates": templates,
        "Schedule": there.schedule,
        "TimeZone": there.time_zone,
        "OnWithdraw": there.on_withdraw,
        "OnReopened": there.on_reopened,
        "State": there.state,
    }
    return body, list(new)


def left_as_it_is(there: Subscription, new: list[str]) -> str:
    """That the subscription was there, and how to have it fill what is new."""
    sentence = f"The subscription {there.subscription_id} was there, and is left as it is."
    if not new:
        return sentence
    return f"{sentence} To have it fill {', '.join(new)} as well, {_PUT_IT}."


def not_made(program_id: str) -> str:
    """That no subscription was made, since none was asked for, and how to have one of the only Program there is."""
    return (
        f"No subscription fills it yet. Name the Program {program_id}, and send the same again, so that one is made; "
        f"or {_PUT_IT}."
    )


async def make(call: Call, subscription_id: str, body: dict[str, Any], *, rows_readable: bool | None) -> str:
    """Make it unless its id is taken; what came of it, in words."""
    try:
        saved = await make_subscription(call, subscription_id, body)
    except LearningHubError as error:
        return f"The subscription {subscription_id} was not made. {error.detail}"
    if saved.status == 201:
        then = "Start it." if rows_readable else "Start it once rows can be read."
        return f"The subscription {subscription_id} was made, stopped. {then}"
    if saved.subscription.archived_utc is not None:
        return f"The subscription {subscription_id} is archived, and was left so. To bring it back, {_PUT_IT}."
    return (
        f"The subscription {subscription_id} was there, and is left as it is: it goes elsewhere. Name another "
        "SubscriptionId."
    )
