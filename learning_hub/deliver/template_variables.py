"""The variables of a template: made here for previews, validation and deliveries alike."""

from __future__ import annotations

import msgspec

from learning_hub.model.event import Event
from learning_hub.model.subscription import Subscription
from learning_hub.rendering import write_scope

_EVENT_FIELDS = [(field.name, field.encode_name) for field in msgspec.structs.fields(Event)]


def template_variables(
    event: Event, subscription: Subscription, program_name: str, participant_id: str | None
) -> bytes:
    """
    The variables of a template, as JSON for the renderer.

    Args:
        event: Every field is a member of the variable `event` under its name in JSON, the data as the publisher spelled
            them.
        subscription: The subscription of the template.
        program_name: Of the event's Program.
        participant_id: The participant's id at the subscriber; None where it is not known.
    """
    fields = {name: value for field, name in _EVENT_FIELDS if (value := getattr(event, field)) is not msgspec.UNSET}
    return write_scope(
        fields,
        participant_id=participant_id,
        subscription_id=subscription.subscription_id,
        subscription_name=subscription.name,
        program_id=event.publisher_program_id,
        program_name=program_name,
    )
