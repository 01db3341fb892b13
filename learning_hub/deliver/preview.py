"""What a subscription would send for an event; nothing is sent, and no subscriber is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.template_validation import TemplateProblem
from learning_hub.deliver.participant_lookup import ParticipantLookup
from learning_hub.deliver.payload_renderer import NoTemplate, PayloadRenderer
from learning_hub.model.errors import NotFound, TemplateError
from learning_hub.model.event import EVENT_FIELDS, Classification, Event, bucket, classify
from learning_hub.model.ids import event_id, new_uuid
from learning_hub.model.json_errors import place_in
from learning_hub.model.preview import Preview, PreviewError
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import Subscription
from learning_hub.model.template import DEFAULT_TEMPLATE, choose_template
from learning_hub.rendering import Rendered
from learning_hub.store import events, subscribers
from learning_hub.store.database import Database


class Previewer:
    """Renders events for subscriptions as the worker does, without sending them."""

    def __init__(
        self, database: Database, participant_lookup: ParticipantLookup, payload_renderer: PayloadRenderer
    ) -> None:
        self._database = database
        self._participant_lookup = participant_lookup
        self._payload_renderer = payload_renderer

    async def preview(self, subscription: Subscription, event: Event, *, key_id: str) -> Preview:
        """What *subscription*, saved or not, would send for *event*; *key_id* is the key of the caller who waits."""
        category = event.publisher_event_category.value if event.publisher_event_category else None
        name = choose_template(subscription.templates, category).name
        try:
            rendered = await self._render(subscription, event, key_id)
        except TemplateError as error:
            problem = PreviewError(code=error.code, message=error.message, place=error.place)
            return Preview(template=name, payload=None, error=problem)
        if isinstance(rendered, NoTemplate):
            problem = PreviewError(code=rendered.code, message=rendered.message, place=category or DEFAULT_TEMPLATE)
            return Preview(template=None, payload=None, error=problem)
        return Preview(template=name, payload=rendered.payload, error=None)

    async def as_if_published(self, new: ReceivedEvent) -> Event:
        """The event that *new* would become if it were published now."""
        async with self._database.connection() as connection:
            (latest,) = await events.latest_entries(connection, [new.source_key])
            moment = await events.present_time(connection)
        return as_if_stored(new, classify(latest, new.content_hash), moment)

    async def _render(self, subscription: Subscription, event: Event, key_id: str) -> Rendered | NoTemplate:
        subscriber = await subscribers.find(self._database, subscription.subscriber_id)
        if subscriber is None:
            raise NotFound(f"There is no subscriber {subscription.subscriber_id}.")
        known = await self._participant_lookup.known_id(subscriber.subscriber_id, event)
        rendered = await self._payload_renderer.render(subscription, subscriber, event, known, preview_for=key_id)
        if isinstance(rendered, Rendered):
            payloads = {rendered.template_name: rendered.payload}
            for problem in target_problems(subscriber, subscription.target, payloads):
                raise problem
        return rendered


def target_problems(
    subscriber: Subscriber, target: Mapping[str, Any], templates: Mapping[str, Any]
) -> list[TemplateError]:
    """What the target does not accept in *templates*, or in payloads by category; paths begin with the category."""
    check = KINDS[subscriber.connector].check_template
    return [
        _error(problem, category)
        for category, template in templates.items()
        if isinstance(template, dict)
        for problem in check(target, template, subscriber.settings)
    ]


def as_if_stored(new: ReceivedEvent, classification: Classification, at: datetime) -> Event:
    """*new* as the event that storing it at *at* would make, as *classification* says."""
    program_id, supersedes = new.publisher_program_id, classification.supersedes
    return Event(
        event_id=event_id(program_id, new_uuid()),
        event_date_bucket=bucket(program_id, at.date()),
        created_utc=at,
        revision=classification.revision,
        supersedes=event_id(program_id, supersedes) if supersedes else None,
        **{field.attribute: getattr(new, field.attribute) for field in EVENT_FIELDS},
    )


def _error(problem: TemplateProblem, category: str) -> TemplateError:
    place = place_in("", category)[1:]
    return TemplateError(problem.message, place=f"{place}.{problem.place}" if problem.place else place)
