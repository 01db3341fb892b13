"""Why an event has no delivery, as a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from learning_hub.model.enumeration import enumerated
from learning_hub.model.subscription import Subscription

_MOST_NAMED = 5


def no_delivery_message(
    subscriptions: Sequence[Subscription],
    program_id: str,
    publisher_system_id: str,
    event_type: str,
    *,
    is_withdrawn: bool,
) -> str:
    """
    Why no subscription has a delivery of an event of this Program, system and type.

    Args:
        subscriptions: Those of the Program, without archived ones.
        program_id: The Program of the event.
        publisher_system_id: The system of the event.
        event_type: The type of the event.
        is_withdrawn: The publisher has withdrawn the event.
    """
    if not subscriptions:
        return f"The Program {program_id} has no subscription."
    takers = [one for one in subscriptions if one.wants(publisher_system_id, event_type)]
    if takers and is_withdrawn:
        return "The publisher has withdrawn the event, so it is not sent."
    if takers:
        names = enumerated((one.subscription_id for one in takers), most=_MOST_NAMED)
        return (
            f"Subscriptions that take such events: {names}. "
            "The event was stored before they were started, or the hub has not read it yet. "
            "A run of the subscription for this event sends it."
        )
    if any(one.removes_when_reopened(publisher_system_id, event_type) for one in subscriptions):
        return (
            f"Events of the type {event_type} only remove records that were sent before, "
            "and none was sent of this source."
        )
    systems = {one.publisher_system_id for one in subscriptions if event_type in one.event_types}
    if systems:
        return (
            f"No subscription of the Program {program_id} takes events of the type {event_type} from the system "
            f"{publisher_system_id}, only from {enumerated(sorted(filter(None, systems)), most=_MOST_NAMED)}."
        )
    types = enumerated(sorted({name for one in subscriptions for name in one.event_types}))
    return f"No subscription of the Program {program_id} takes events of the type {event_type}, only {types}."
