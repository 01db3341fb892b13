"""Previews: what a subscription would send for an event. Nothing is sent, and no subscriber is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.deliver.preview import Previewer
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, gathered
from learning_hub.model.event import Event, NewEvent
from learning_hub.model.fields import collect, read_object, valid_members
from learning_hub.model.json_values import read_json
from learning_hub.model.preview import Preview
from learning_hub.model.received_event import program_named, read_event
from learning_hub.model.subscription import ObjectText, Subscription
from learning_hub.model.subscription_draft import is_template, templates_faults
from learning_hub.rendering import Renderer
from learning_hub.services.events import need_event_of
from learning_hub.services.preview_limit import PreviewLimit
from learning_hub.services.subscriptions import need_subscription
from learning_hub.services.template_checks import check_templates
from learning_hub.store import subscribers
from learning_hub.store.database import Database

EVENT_NEEDED = FieldError("EventId", "or Event is needed, and only one of them")


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The event to preview: either EventId or Event."""

    event_id: Annotated[str, Meta(description="The id of a stored event.")] | None = None
    event: Annotated[NewEvent, Meta(description="As in POST /events; it is not stored.")] | None = None
    templates: Annotated[ObjectText, Meta(description="Used instead of the saved templates; not saved.")] | None = None


class Previews:
    """
    Previews events for subscriptions.

    *max_data_bytes* is the limit for the data of an event that is not stored.
    """

    def __init__(
        self, database: Database, previewer: Previewer, renderer: Renderer, limit: PreviewLimit, *, max_data_bytes: int
    ) -> None:
        self._database = database
        self._previewer = previewer
        self._renderer = renderer
        self._limit = limit
        self._max_data_bytes = max_data_bytes

    async def preview(self, caller: Caller, subscription_id: str, fields: Mapping[str, Raw]) -> Preview:
        """
        The payload that a subscription would send for an event, stored or not; or the reason why none is made.

        Args:
            caller: The caller, who must be for the subscription's Program.
            subscription_id: The subscription, whose templates are used unless others are given.
            fields: The fields of a PreviewBody, as sent.

        Raises:
            InvalidFields: With every bad field.
            NotFound: As for `need_subscription`.
            TooManyPreviews: As for `PreviewLimit.hold`.
        """
        subscription = await need_subscription(self._database, caller, subscription_id)
        fields = dict(fields)
        sent_event = fields.pop("Event", None)
        values, errors = collect(fields, PreviewBody)
        has_event = sent_event is not None and bytes(sent_event).strip() != b"null"
        event_id = values.get("event_id")
        if has_event == (event_id is not None) and not any(error.field == "EventId" for error in errors):
            errors.append(EVENT_NEEDED)
        templates, template_errors = _read_templates(values.get("templates"), fields.get("Templates"))
        errors += template_errors
        event: Event | None = None
        with gathered(errors):
            if has_event:
                event = await self._unstored_event(subscription, bytes(sent_event or b""))
            elif event_id is not None:
                _, event = await need_event_of(self._database, subscription, event_id)
        if errors or event is None:
            raise InvalidFields(errors + await self._errors_within(caller, subscription, templates))
        if templates is not None:
            subscription = msgspec.structs.replace(subscription, templates=templates)
        with self._limit.hold(caller.key_id):
            return await self._previewer.preview(subscription, event, key_id=caller.key_id)

    async def _unstored_event(self, subscription: Subscription, sent: bytes) -> Event:
        try:
            fields = read_object(sent)
        except InvalidInput:
            # The body itself was read before, so only the kind of the value can be wrong.
            raise InvalidFields([FieldError("Event", "must be an object")]) from None
        try:
            new = read_event(fields, max_data_bytes=self._max_data_bytes)
        except InvalidFields as error:
            within = [FieldError(f"Event.{each.field}", each.message) for each in error.errors]
            raise InvalidFields(_program_errors(subscription, program_named(fields)) + within) from None
        if errors := _program_errors(subscription, new.publisher_program_id):
            raise InvalidFields(errors)
        return await self._previewer.as_if_published(new)

    async def _errors_within(self, caller: Caller, subscription: Subscription, templates: Any) -> list[FieldError]:
        """Errors within those of *templates* that have the form of a template."""
        if not isinstance(templates, dict):
            return []
        subscriber = await subscribers.find(self._database, subscription.subscriber_id)
        documents = {name: one for name, one in templates.items() if one is None or is_template(one)}
        with self._limit.hold(caller.key_id):
            checked = await check_templates(
                self._renderer, subscriber, subscription.target, documents, key_id=caller.key_id
            )
        return checked.errors


def _program_errors(subscription: Subscription, program_id: str | None) -> list[FieldError]:
    if program_id in (None, subscription.program_id):
        return []
    return [FieldError("Event.PublisherProgramId", "is not the subscription's Program")]


def _read_templates(read: bytes | None, sent: Raw | None) -> tuple[Any, list[FieldError]]:
    """The templates as far as they are valid, and errors in their outer form."""
    if read is None:
        return valid_members(bytes(sent or b"")) or None, []
    if read.strip() == b"null":
        return None, []
    templates = read_json(read)
    return templates, templates_faults(templates)
