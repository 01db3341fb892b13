"""From an event to the payload a subscription's template gives for it, with today's template."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.template_variables import template_scope
from learning_hub.model.event import Event
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import choose_template
from learning_hub.rendering import Rendered, Renderer, RenderJob
from learning_hub.store import programs
from learning_hub.store.database import Database


class NotSent(msgspec.Struct, frozen=True):
    """The subscription has no template for the event's category."""

    code: Literal["category_off", "no_template"]


class Payloads:
    """Renders; the worker, previews and dry runs all come here, so that they never differ."""

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
    ) -> Rendered | NotSent:
        """
        What would be sent of *event*, and by which template.

        Args:
            subscription: Whose templates to use, saved or not.
            subscriber: For its time zone.
            event: The event, stored or not.
            participant_id: The participant's id at the subscriber, None where it is not known.
            program_name: Of the event's Program, where it was read just now.

        Raises:
            TemplateError: The template gives no payload for this event; with the place.
        """
        category = event.publisher_event_category.value if event.publisher_event_category else None
        choice = choose_template(subscription.templates, category)
        if choice.code is not None:
            return NotSent(choice.code)
        if program_name is None:
            program = await programs.find(self._database, event.publisher_program_id)
            program_name = program.name if program else event.publisher_program_id
        job = RenderJob(
            templates_json=subscription.templates_json,
            category=category,
            scope_json=template_scope(event, subscription, program_name, participant_id),
            time_zone=KINDS[subscriber.connector].time_zone(subscriber.settings),
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
    ) -> dict[str, Any] | NotSent:
        """The payload alone; the same errors as `render`."""
        rendered = await self.render(subscription, subscriber, event, participant_id, program_name=program_name)
        return rendered if isinstance(rendered, NotSent) else rendered.payload
