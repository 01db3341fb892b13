"""Panels over HTTP: making a panel source at iMIS, and a subscription that fills it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.panel_requests import PanelBody, WantedPanel, audit_id, read_wanted
from learning_hub.api.panel_subscriptions import (
    EVENT_TYPES,
    extended,
    filling,
    free_id,
    goes_to,
    left_as_it_is,
    make,
    not_made,
    subscription_for,
)
from learning_hub.api.reconciliations import paused
from learning_hub.api.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER, need_subscriber
from learning_hub.connectors.base import Postponed, Refused, Unknown
from learning_hub.connectors.discovery import (
    Building,
    Built,
    Clash,
)
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.model.audit import Action
from learning_hub.model.clock import written
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, InvalidInput, NotFound
from learning_hub.model.panel import (
    BASIC,
    RECORD_KEY,
    PanelField,
    as_added,
    basic_template,
)
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.subscription import DEFAULT_TEMPLATE, Subscription
from learning_hub.store import audit, pauses, subscribers, subscriptions

SAME_AGAIN = "Sending the same again is safe: what is there by then is left as it is."

EXAMPLE_FIELDS = [as_added(field) for field in (RECORD_KEY, *(one.field for one in BASIC))]
EXAMPLE: dict[str, Any] = {
    "Name": "lh_completions",
    "Fields": msgspec.to_builtins(EXAMPLE_FIELDS),
    "Added": [field.name for field in EXAMPLE_FIELDS],
    "RowsReadable": False,
    "Findings": [
        "The panel source lh_completions was made, with 10 fields.",
        "Its rows cannot be read over REST yet. Tick Available via the REST API on the Security tab of the source.",
    ],
    "Subscription": {
        "Name": "Events to lh_completions",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": EVENT_TYPES,
        "Target": {"Kind": "panel", "Name": "lh_completions", "KeyProperty": RECORD_KEY.name},
        "Templates": {DEFAULT_TEMPLATE: basic_template(EXAMPLE_FIELDS[1:])},
        "State": "stopped",
    },
    "SubscriptionId": "lh_completions",
}


def _not_supported(kind: str) -> InvalidInput:
    return InvalidInput(
        f"At a subscriber of the kind {kind} no panel can be made; at iMIS it can.", code="not_supported"
    )


def _ended(outcome: Postponed | Refused | Unknown) -> Conflict:
    if isinstance(outcome, Refused):
        return Conflict(outcome.message, code="subscriber_refused")
    message, wait = (
        (outcome.message_with_wait, outcome.retry_after_seconds)
        if isinstance(outcome, Postponed)
        else (outcome.message, None)
    )
    return Conflict(f"{message} {SAME_AGAIN}", code="subscriber_away", retry_after_seconds=wait)


class Panel(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A panel source as it stands at iMIS now, and a subscription that fills it."""

    name: Annotated[str, Meta(description="As iMIS spells it.")]
    fields: Annotated[list[PanelField], Meta(description="Those it has now; a text without Length has no limit.")]
    added: Annotated[list[str], Meta(description="Fields that were added.")]
    rows_readable: Annotated[bool, Meta(description="Whether its rows can be read; null: not known.")] | None
    findings: Annotated[list[str], Meta(description="What came of it, and what is to be done, for a person.")]
    subscription: Annotated[
        dict[str, Any],
        Meta(
            description="The body of a PUT: a subscription with the basic mapping. Its ProgramId is null where several "
            "are possible.",
            extra_json_schema={"additionalProperties": True},
        ),
    ]
    subscription_id: Annotated[str, Meta(description="Of the subscription that was made, or was there.")] | None


_TOO_SLOW = (
    "The panel source {name} was not finished within {seconds:g} seconds: the subscriber is slow, or somebody else "
    "makes a panel there just now."
)


class _Source(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A panel source in the audit log."""

    name: str
    fields: list[PanelField]


@route(
    Operation(
        method="POST",
        path="/subscribers/{SubscriberId}/panels",
        operation_id="makePanel",
        summary="Make a panel source at iMIS, or add fields to it",
        description="The source has several rows for a contact, a field for the hub's record key, and the basic fields "
        "or those named. Where it is there already, fields that it lacks are added and texts that are shorter than the "
        "Length asked for are widened; nothing is removed or narrowed. What iMIS made of it is read back and told. The "
        "answer has a subscription with the basic mapping, ready to be PUT; with a ProgramId it is made at once, "
        "stopped, unless it is there. What only a person can do in iMIS stands in Findings.",
        tag="Setting up",
        scopes=("admin",),
        body=PanelBody,
        body_example={"Name": "lh_completions", "Fields": "basic", "ProgramId": "NURSES"},
        answers=(
            Answer(
                status=201,
                meaning="It was made.",
                body=Panel,
                headers={"Location": "/subscribers/{SubscriberId}/targets/{Name}/fields."},
                example=EXAMPLE,
            ),
            Answer(
                status=200,
                meaning="It was there, and has these fields now.",
                body=Panel,
                example=EXAMPLE | {"Added": [], "RowsReadable": True},
            ),
        ),
        errors=(
            NO_SUCH_SUBSCRIBER,
            InvalidFields([FieldError("Name", "is required")]),
            _not_supported("webhook"),
            paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", "send the same again"),
            Conflict(
                "There is a lh_completions at iMIS already: its field Units is text, not decimal. Choose another name, "
                "or ask for what is there.",
                code="panel_differs",
            ),
            _ended(Refused(code="refused", message="The hub could not make the panel source: iMIS answered 403.")),
            _ended(
                Postponed(
                    code="rate_limited",
                    message="The hub could not make the panel source: iMIS answered 429.",
                    retry_after_seconds=30,
                )
            ),
        ),
    )
)
async def make_panel(call: Call) -> Reply:
    subscriber = await need_subscriber(call)
    if subscriber.archived_utc is not None:
        raise NotFound(f"The subscriber {subscriber.subscriber_id} is archived; a PUT brings it back.")
    if not KINDS[subscriber.connector].can_build:
        raise _not_supported(subscriber.connector)
    wanted = await read_wanted(call, subscriber)
    await _need_asked(call, subscriber)
    seconds = call.hub.settings.run_wait_seconds
    try:
        # What is under way at iMIS then gets to its end or not; the same again finds out.
        async with asyncio.timeout(seconds), subscribers.panel_lock(call.hub.database, subscriber.subscriber_id):
            built = await _build(call, subscriber, wanted)
            await _note(call, subscriber, built)
    except TimeoutError:
        name = wanted.blueprint.name
        raise _ended(Postponed(code="timed_out", message=_TOO_SLOW.format(name=name, seconds=seconds))) from None
    return await _reply(call, subscriber, wanted, built)


async def _need_asked(call: Call, subscriber: Subscriber) -> None:
    """Go on only if the subscriber may be asked now."""
    pause = await pauses.find(call.hub.database, subscriber.subscriber_id)
    if pause is not None:
        raise paused(subscriber.subscriber_id, written(pause.since_utc), pause.message, "send the same again")


async def _build(call: Call, subscriber: Subscriber, wanted: WantedPanel) -> Built:
    async with call.hub.connections.of(subscriber.subscriber_id) as (_, connector):
        built = await cast("Building", connector).build(wanted.blueprint, AttemptRecorder())
    if isinstance(built, Clash):
        raise Conflict(built.message, code="panel_differs")
    if not isinstance(built, Built):
        raise _ended(built)
    return built


async def _note(call: Call, subscriber: Subscriber, built: Built) -> None:
    """Take down what was changed at the subscriber, if anything was."""
    if built.before == built.fields:
        return
    before = None if built.before is None else _Source(name=built.name, fields=built.before)
    after = _Source(name=built.name, fields=built.fields)
    action: Action = "update" if before else "create"
    object_id = audit_id(subscriber.subscriber_id, built.name)
    async with call.hub.database.transaction() as connection:
        await audit.write(connection, call.caller, action, "panel", object_id, before=before, after=after)


async def _there(call: Call, subscriber: Subscriber, wanted: WantedPanel, built: Built) -> Subscription | None:
    """The subscription that fills the panel already: the one that is named, or else any."""
    if wanted.subscription_id is None:
        return await filling(call, subscriber.subscriber_id, built.name, wanted.program_id)
    named = await subscriptions.find(call.hub.database, wanted.subscription_id)
    return named if named and named.archived_utc is None and goes_to(named, built.name) else None


async def _reply(call: Call, subscriber: Subscriber, wanted: WantedPanel, built: Built) -> Reply:
    body, words = await subscription_for(
        call, subscriber.subscriber_id, built, named=wanted.named, program_id=wanted.program_id
    )
    findings, subscription_id = [*built.findings, *words], wanted.subscription_id
    if there := await _there(call, subscriber, wanted, built):
        body, new = extended(there, body)
        subscription_id = there.subscription_id
        findings = [*built.findings, left_as_it_is(there, new)]
    elif wanted.program_id is not None:
        subscription_id = subscription_id or await free_id(call, built.name)
        findings.append(await make(call, subscription_id, body, rows_readable=built.rows_readable))
    elif body["ProgramId"] is not None:
        findings.append(not_made(body["ProgramId"]))
    had = {field.name.casefold() for field in built.before or []}
    panel = Panel(
        name=built.name,
        fields=built.fields,
        added=[field.name for field in built.fields if field.name.casefold() not in had],
        rows_readable=built.rows_readable,
        findings=findings,
        subscription=body,
        subscription_id=subscription_id,
    )
    if built.before is not None:
        return Reply(body=panel)
    location = f"/subscribers/{subscriber.subscriber_id}/targets/{built.name}/fields"
    return Reply(status=201, body=panel, headers={"Location": location})


ROUTES = (make_panel,)
