"""From an event to the payload that a subscription's present template gives for it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from learning_hub.connectors.kinds import KINDS
from learning_hub.deliver.template_variables import template_variables
from learning_hub.model.event import Event
from learning_hub.model.matching import skip_message
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import choose_template
from learning_hub.rendering import Rendered, Renderer, RenderJob
from learning_hub.store import programs
from learning_hub.store.database import Database


class NoTemplate(msgspec.Struct, frozen=True):
    """The subscription has no template for the event's category, or switches the category off."""

    code: Literal["category_off", "no_template"]
    message: str


class PayloadRenderer:
    """Renders payloads for the worker, previews and dry runs alike, so that they never differ."""

    def __init__(self, database: Database, renderer: Renderer) -> None:
        self._database = database
        self._renderer = renderer

    async def render(
        self,
        subscription: Subscription,
        subscriber: Subscriber,
        event: Event,
        participant_id: str | None,
        *,
        program_name: str | None = None,
        preview_for: str | None = None,
    ) -> Rendered | NoTemplate:
        """
        The payload for *event*, and the template that gave it.

        Args:
            subscription: Has the templates; saved or not.
            subscriber: Has the time zone.
            event: Stored or not.
            participant_id: The participant's id at the subscriber, None where it is not known.
            program_name: Of the event's Program; read from the database where it is None.
            preview_for: The id of the key whose caller wants a preview; None for a delivery. Deliveries are first.

        Raises:
            TemplateError: The template gives no payload for this event; names the path in the template.
        """
        category = event.publisher_event_category.value if event.publisher_event_category else None
        choice = choose_template(subscription.templates, category)
        if choice.code is not None:
            return NoTemplate(choice.code, skip_message(choice.code, subscription, category))
        if program_name is None:
            program = await programs.find(self._database, event.publisher_program_id)
            program_name = program.name if program else event.publisher_program_id
        job = RenderJob(
            templates_json=subscription.templates_json,
            category=category,
            scope_json=template_variables(event, subscription, program_name, participant_id),
            time_zone=KINDS[subscriber.connector].time_zone(subscriber.settings),
            preview_for=preview_for,
        )
        return await self._renderer.render(job)

    async def payload(
        self,
        subscription: Subscription,
        subscriber: Subscriber,
        event: Event,
        participant_id: str | None,
        *,
        program_name: str,
    ) -> dict[str, Any] | NoTemplate:
        """The payload alone; raises what `render` raises."""
        rendered = await self.render(subscription, subscriber, event, participant_id, program_name=program_name)
        return rendered if isinstance(rendered, NoTemplate) else rendered.payload
