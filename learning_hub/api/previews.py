"""Previews over HTTP: what a subscription would send."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.api.call import Call
from learning_hub.api.events import EXAMPLE_BODY
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.api.saving import inspect_templates
from learning_hub.api.subscriptions import NO_SUCH_SUBSCRIPTION, need_subscription
from learning_hub.deliver.preview import Preview
from learning_hub.model.errors import FieldError, InvalidFields, gathered
from learning_hub.model.event import Event, NewEvent
from learning_hub.model.fields import collect, sound_members
from learning_hub.model.ids import EventKey, read_event_id
from learning_hub.model.json_values import read_json
from learning_hub.model.received_event import program_named, read_event
from learning_hub.model.subscription import ObjectText, Subscription
from learning_hub.model.subscription_draft import is_template, templates_faults
from learning_hub.store import events, subscribers


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What is to be previewed: EventId or Event, one of them."""

    event_id: Annotated[str, Meta(description="Of a stored event.")] | None = None
    event: Annotated[NewEvent, Meta(description="As in POST /events; it is not stored.")] | None = None
    templates: Annotated[ObjectText, Meta(description="In place of the saved ones; they are not saved.")] | None = None


@route(
    Operation(
        method="POST",
        path="/subscriptions/{SubscriptionId}/preview",
        operation_id="previewSubscription",
        summary="Show what would be sent for an event, or the error with its place",
        description=(
            "Sends nothing and connects to nothing. `participant.Id` is null unless it is remembered from a delivery "
            "or settled by hand."
        ),
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        body=PreviewBody,
        body_example={"Event": EXAMPLE_BODY},
        answers=(
            Answer(
                status=200,
                meaning="The payload, or why there is none.",
                body=Preview,
                example={
                    "Template": "Online",
                    "Payload": {
                        "ActivityType": "TCLEARNING",
                        "Source": "TopClass",
                        "Subtype": "FIRE-201",
                        "Description": "Fire safety refresher",
                        "EffectiveDate": "2026-11-20 10:20:00.000",
                        "Units": 1.30,
                    },
                    "Error": None,
                },
            ),
        ),
        errors=(
            NO_SUCH_SUBSCRIPTION,
            InvalidFields([FieldError("EventId", "or Event is needed, and only one of them")]),
        ),
    )
)
async def preview_subscription(call: Call) -> Reply:
    subscription = await need_subscription(call)
    fields = await call.fields()
    raw_event = fields.pop("Event", None)
    values, errors = collect(fields, PreviewBody)
    has_event = raw_event is not None and bytes(raw_event).strip() != b"null"
    event_id = values.get("event_id")
    if has_event == (event_id is not None) and not any(error.field == "EventId" for error in errors):
        errors.append(FieldError("EventId", "or Event is needed, and only one of them"))
    templates, template_errors = _templates(values.get("templates"), fields.get("Templates"))
    errors += template_errors
    event: Event | None = None
    with gathered(errors):
        if has_event:
            event = await _unstored(call, subscription, bytes(raw_event or b""))
        elif event_id is not None:
            _, event = await need_event_of(call, subscription, event_id)
    if errors or event is None:
        raise InvalidFields(errors + await _faults_within(call, subscription, templates))
    if templates is not None:
        subscription = msgspec.structs.replace(subscription, templates=templates)
    return Reply(body=await call.hub.previewer.preview(subscription, event))


async def need_event_of(call: Call, subscription: Subscription, event_id: str) -> tuple[EventKey, Event]:
    """
    The event that a body names for a subscription, and its key.

    Raises:
        InvalidFields: It is no EventId, or of no event of the subscription's Program.
    """
    key = read_event_id(event_id)
    if key is None:
        raise InvalidFields([FieldError("EventId", "must be E:{ProgramId}-{UUID}")])
    event = await events.find_event(call.hub.database, key) if key.program_id == subscription.program_id else None
    if event is None:
        raise InvalidFields([FieldError("EventId", "is not an event of the subscription's Program")])
    return key, event


async def _unstored(call: Call, subscription: Subscription, raw: bytes) -> Event:
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise InvalidFields([FieldError("Event", "must be an object")]) from None
    try:
        new = read_event(fields, max_data_bytes=call.hub.settings.max_data_bytes)
    except InvalidFields as error:
        faults = _program_faults(subscription, program_named(fields))
        raise InvalidFields(faults + [FieldError(f"Event.{one.field}", one.message) for one in error.errors]) from None
    if faults := _program_faults(subscription, new.publisher_program_id):
        raise InvalidFields(faults)
    return await call.hub.previewer.as_if_published(new)


def _program_faults(subscription: Subscription, program_id: str | None) -> list[FieldError]:
    if program_id in (None, subscription.program_id):
        return []
    return [FieldError("Event.PublisherProgramId", "is not the subscription's Program")]


def _templates(read: bytes | None, sent: Raw | None) -> tuple[Any, list[FieldError]]:
    """The templates as far as they can be judged, and what is wrong with their outer form."""
    if read is None:
        return sound_members(bytes(sent or b"")) or None, []
    if read.strip() == b"null":
        return None, []
    templates = read_json(read)
    return templates, templates_faults(templates)


async def _faults_within(call: Call, subscription: Subscription, templates: Any) -> list[FieldError]:
    """What is wrong within those of *templates* that have the form of one."""
    if not isinstance(templates, dict):
        return []
    subscriber = await subscribers.find(call.hub.database, subscription.subscriber_id)
    documents = {name: one for name, one in templates.items() if one is None or is_template(one)}
    return (await inspect_templates(call, subscriber, subscription.target, documents)).faults


ROUTES = (preview_subscription,)
