"""From a delivery context to the outbound record: the participant, the payload, and the contact's other rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from learning_hub.connectors.base import OutboundRecord, Recorder
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import ParticipantFound, Postponed, Refused
from learning_hub.deliver.delivery_context import DeliveryContext
from learning_hub.deliver.outcome_policy import moved_to_end, parked_for_template, skipped
from learning_hub.deliver.participant_lookup import ParticipantLookup
from learning_hub.deliver.payload_renderer import NoTemplate, PayloadRenderer
from learning_hub.deliver.sibling_rows import SiblingRows
from learning_hub.model import clock
from learning_hub.model.claimed_delivery import Completion
from learning_hub.model.errors import TemplateError
from learning_hub.model.record_key import record_key


class RecordPreparation:
    """
    Prepares outbound records.

    Args:
        participant_lookup: Finds the participant's id at the subscriber.
        payload_renderer: Renders the payload.
        sibling_rows: Knows the contact's other rows in a panel without a KeyProperty.
        may_lack_records: Whether the database may lack what was sent before, because it went back in time.
        patience_seconds: How long a delivery waits for others of its contact and panel.
    """

    def __init__(
        self,
        participant_lookup: ParticipantLookup,
        payload_renderer: PayloadRenderer,
        sibling_rows: SiblingRows,
        *,
        may_lack_records: Callable[[], bool],
        patience_seconds: float,
    ) -> None:
        self._participant_lookup = participant_lookup
        self._payload_renderer = payload_renderer
        self._sibling_rows = sibling_rows
        self._may_lack_records = may_lack_records
        self._patience_seconds = patience_seconds

    async def prepare(
        self, context: DeliveryContext, recorder: Recorder, resources: AsyncExitStack
    ) -> OutboundRecord | Completion | Postponed | Refused:
        """
        The record to send; otherwise the delivery's completion, or the outcome of asking for the participant.

        *resources* keeps the lock on the contact's rows until the delivery is completed.
        """
        if _is_found_without_participant(context):
            # The participant may not exist any more.
            return self._record(context)
        participant_id = await self._participant_id(context, recorder)
        if not isinstance(participant_id, str):
            return participant_id
        payload = await self._payload(context, participant_id or None)
        if isinstance(payload, Completion):
            return payload
        try:
            async with asyncio.timeout(self._patience_seconds):
                others = await resources.enter_async_context(
                    self._sibling_rows.of(context.claimed, context.subscription.target, participant_id)
                )
        except TimeoutError:
            return moved_to_end(context.claimed, at=clock.now())
        return self._record(context, participant_id, payload, others)

    async def forget_participant(self, context: DeliveryContext) -> None:
        """Look the participant up again for the next attempt: the subscriber does not know the id that was found."""
        await self._participant_lookup.forget(context.subscriber.subscriber_id, context.event)

    async def _participant_id(self, context: DeliveryContext, recorder: Recorder) -> str | Postponed | Refused:
        """The participant's id, empty where the kind of subscriber resolves none."""
        if not KINDS[context.subscriber.connector].resolves_participants:
            return ""
        if context.known_participant_id is not None:
            return context.known_participant_id
        result = await self._participant_lookup.look_up(context.connector, context.subscriber, context.event, recorder)
        return result.participant_id if isinstance(result, ParticipantFound) else result

    async def _payload(self, context: DeliveryContext, participant_id: str | None) -> dict[str, Any] | Completion:
        """The rendered payload, empty for a removal that needs none."""
        if context.claimed.action == "remove" and not KINDS[context.subscriber.connector].removal_has_payload:
            return {}
        try:
            payload = await self._payload_renderer.payload(
                context.subscription,
                context.subscriber,
                context.event,
                participant_id,
                program_name=context.program_name,
            )
        except TemplateError as error:
            return parked_for_template(error, context.claimed)
        return skipped(payload.code, payload.message) if isinstance(payload, NoTemplate) else payload

    def _record(
        self,
        context: DeliveryContext,
        participant_id: str = "",
        payload: dict[str, Any] | None = None,
        others: frozenset[str] | None = None,
    ) -> OutboundRecord:
        claimed = context.claimed
        return OutboundRecord(
            delivery_id=str(claimed.key),
            action=claimed.action,
            target=context.subscription.target,
            payload=payload or {},
            participant_id=participant_id,
            record_key=record_key(
                claimed.key.program_id,
                claimed.subscription_id,
                claimed.publisher_system_id,
                claimed.publisher_event_id,
            ),
            record_id=claimed.record_id,
            # A search before sending costs little; any earlier attempt for this source record may have written it.
            outcome_unknown=claimed.tried_before and claimed.record_id is None,
            may_exist=claimed.record_id is None and self._may_lack_records(),
            others_record_ids=others,
        )


def _is_found_without_participant(context: DeliveryContext) -> bool:
    """Whether the record to remove is found by its identity or its record key alone."""
    claimed, kind = context.claimed, KINDS[context.subscriber.connector]
    if claimed.action != "remove" or kind.removal_has_payload:
        return False
    return bool(claimed.record_id) or not kind.is_keyless(context.subscription.target)
