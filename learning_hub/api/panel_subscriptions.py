"""A subscription that fills a panel, made together with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from learning_hub.api.operations import Call
from learning_hub.api.saving import make_subscription
from learning_hub.connectors.places import Built
from learning_hub.model.errors import LearningHubError
from learning_hub.model.panel import KEY_LENGTH, RECORD_KEY, basic_template, is_basic, is_key
from learning_hub.model.subscription import DEFAULT_TEMPLATE
from learning_hub.store import programs

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
        words.append("Subscription lacks its ProgramId, since there is not exactly one Program: name it.")
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


async def make_unless_there(call: Call, subscription_id: str, body: dict[str, Any]) -> str:
    """Make it unless it is there; what came of it, in words."""
    try:
        saved = await make_subscription(call, subscription_id, body)
    except LearningHubError as error:
        return f"The subscription {subscription_id} was not made. {error.detail}"
    if saved.status == 201:
        return f"The subscription {subscription_id} was made, stopped. Start it once rows can be read."
    there = saved.subscription
    if there.archived_utc is not None:
        return f"The subscription {subscription_id} is archived, and was left so; a PUT brings it back."
    if there.target.get("Name", "").casefold() != body["Target"]["Name"].casefold():
        return f"The subscription {subscription_id} was there, and is left as it is: it goes elsewhere."
    return (
        f"The subscription {subscription_id} was there, and is left as it is. Add what is new to its templates, as "
        "Subscription shows."
    )
