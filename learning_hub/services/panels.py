"""Panels: make a panel source at a subscriber such as iMIS, and a subscription that fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Raw

from learning_hub.connectors.base import Building
from learning_hub.connectors.building import Built, Clash
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Failure, Postponed
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.connections import Connections
from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.errors import Conflict, InvalidInput
from learning_hub.model.panel import PanelField
from learning_hub.services.panel_spec import PanelSpec, audit_id, read_panel_spec
from learning_hub.services.panel_subscriptions import PanelSubscriptions
from learning_hub.services.subscriber_availability import need_not_paused, no_answer
from learning_hub.services.subscribers import need_subscriber_in_use
from learning_hub.store import audit, subscribers
from learning_hub.store.database import Database

SAME_AGAIN = "Sending the same again is safe: existing fields are not changed."
_TOO_SLOW = (
    "The panel source {name} was not finished within {seconds:g} seconds: the subscriber is slow, or another person "
    "makes a panel there at the moment."
)


class Panel(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A panel source as it is at iMIS now, and a subscription that fills it."""

    name: Annotated[str, Meta(description="As iMIS spells it.")]
    fields: Annotated[list[PanelField], Meta(description="The present fields; a text without Length has no limit.")]
    added: Annotated[list[str], Meta(description="Fields that were added.")]
    rows_readable: Annotated[bool, Meta(description="Whether its rows can be read; null: unknown.")] | None
    findings: Annotated[list[str], Meta(description="What was done, and what a person still has to do.")]
    subscription: Annotated[
        dict[str, Any],
        Meta(
            description="The body of a PUT: a subscription with the basic mapping. Its ProgramId is null if several "
            "are possible.",
            extra_json_schema={"additionalProperties": True},
        ),
    ]
    subscription_id: Annotated[str, Meta(description="The subscription that was made or existed.")] | None


class _Source(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A panel source in the audit log."""

    name: str
    fields: list[PanelField]


class Panels:
    """
    Makes panel sources.

    Args:
        database: The hub's database.
        connections: The connections to subscribers.
        panel_subscriptions: Finds or makes the subscription that fills a panel.
        prefix: The prefix of the names of panels, a setting.
        answer_seconds: How long the subscriber may take.
    """

    def __init__(
        self,
        database: Database,
        connections: Connections,
        panel_subscriptions: PanelSubscriptions,
        *,
        prefix: str,
        answer_seconds: float,
    ) -> None:
        self._database = database
        self._connections = connections
        self._panel_subscriptions = panel_subscriptions
        self._prefix = prefix
        self._answer_seconds = answer_seconds

    async def put(self, caller: Caller, subscriber_id: str, fields: Mapping[str, Raw]) -> tuple[Panel, bool]:
        """
        Make a panel source, or add the fields that an existing one lacks; nothing is removed or narrowed.

        Args:
            caller: An administrator.
            subscriber_id: The subscriber at which the panel is made.
            fields: The fields of a PanelBody, as sent.

        Returns:
            The panel as it is at the subscriber now, and whether it is new.

        Raises:
            InvalidFields: With every bad field.
            NotFound: As for `need_subscriber_in_use`.
            InvalidInput: The subscriber is of a kind that has no panels.
            Conflict: The subscriber is paused, away or refuses; or the existing source does not fit.
        """
        subscriber = await need_subscriber_in_use(self._database, caller, subscriber_id)
        if not KINDS[subscriber.connector].can_build:
            raise panels_not_supported(subscriber.connector)
        spec = await read_panel_spec(self._database, subscriber, fields, prefix=self._prefix)
        await need_not_paused(self._database, subscriber_id, then="send the same again")
        built = await self._build_in_time(caller, subscriber_id, spec)
        subscription = await self._panel_subscriptions.provide(caller, subscriber_id, spec, built)
        had = {field.name.casefold() for field in built.before or []}
        panel = Panel(
            name=built.name,
            fields=built.fields,
            added=[field.name for field in built.fields if field.name.casefold() not in had],
            rows_readable=built.rows_readable,
            findings=[*built.findings, *subscription.findings],
            subscription=subscription.body,
            subscription_id=subscription.subscription_id,
        )
        return panel, built.before is None

    async def _build_in_time(self, caller: Caller, subscriber_id: str, spec: PanelSpec) -> Built:
        seconds = self._answer_seconds
        try:
            # After the timeout, a request under way at iMIS may or may not finish; sending the same again finds out.
            async with asyncio.timeout(seconds), subscribers.panel_lock(self._database, subscriber_id):
                built = await self._build(subscriber_id, spec)
                await self._audit(caller, subscriber_id, built)
        except TimeoutError:
            message = _TOO_SLOW.format(name=spec.blueprint.name, seconds=seconds)
            raise panel_not_made(Postponed(code="timed_out", message=message)) from None
        return built

    async def _build(self, subscriber_id: str, spec: PanelSpec) -> Built:
        async with self._connections.of(subscriber_id) as (_, connector):
            built = await cast("Building", connector).build(spec.blueprint, AttemptRecorder())
        if isinstance(built, Clash):
            raise Conflict(built.message, code="panel_differs")
        if not isinstance(built, Built):
            raise panel_not_made(built)
        return built

    async def _audit(self, caller: Caller, subscriber_id: str, built: Built) -> None:
        """Record the change at the subscriber, if anything was changed."""
        if built.before == built.fields:
            return
        before = None if built.before is None else _Source(name=built.name, fields=built.before)
        after = _Source(name=built.name, fields=built.fields)
        action: Action = "update" if before else "create"
        object_id = audit_id(subscriber_id, built.name)
        async with self._database.transaction() as connection:
            await audit.write(connection, caller, action, "panel", object_id, before=before, after=after)


def panels_not_supported(kind: str) -> InvalidInput:
    """The error for subscribers of a kind at which no panel can be made."""
    return InvalidInput(
        f"A subscriber of the kind {kind} has no panels that the hub could make; iMIS has.", code="not_supported"
    )


def panel_not_made(outcome: Failure) -> Conflict:
    """The error if the subscriber is away or refused."""
    return no_answer(outcome, then=SAME_AGAIN)
