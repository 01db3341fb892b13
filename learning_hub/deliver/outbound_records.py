"""From a claimed delivery to a outbound: who it is at the subscriber, and what the template gives."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from learning_hub.connectors.base import (
    OutboundRecord,
    ParticipantFound,
    Postponed,
    Recorder,
    Refused,
    Unknown,
)
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.delivery_context import DeliveryContext
from learning_hub.deliver.outcome_policy import parked_for_template, stepped_aside
from learning_hub.deliver.participant_lookup import Participants
from learning_hub.deliver.payloads import NotSent, Payloads
from learning_hub.deliver.sibling_rows import SiblingRows, is_keyless
from learning_hub.model import clock
from learning_hub.model.delivery import Completion
from learning_hub.model.errors import TemplateError
from learning_hub.model.failure import CAUSES
from learning_hub.model.record_key import record_key


class OutboundRecords:
    """
    Packs outbounds.

    Args:
        participants: Tell who somebody is at a subscriber.
        payloads: Render.
        sibling_rows: Know the other rows of a contact.
        patience_seconds: How long a delivery waits for others of its contact and panel.
    """

    def __init__(
        self, participants: Participants, payloads: Payloads, sibling_rows: SiblingRows, *, patience_seconds: float
    ) -> None:
        self._participants = participants
        self._payloads = payloads
        self._sibling_rows = sibling_rows
        self._patience_seconds = patience_seconds

    async def prepare(
        self, context: DeliveryContext, recorder: Recorder, held: AsyncExitStack
    ) -> OutboundRecord | Completion | Postponed | Refused | Unknown:
        """
        The outbound, or why there is none: what becomes of the delivery, or what the subscriber answered.

        *held* keeps what must not be let go of before the delivery is settled.
        """
        claimed, kind = context.claimed, KINDS[context.subscriber.connector]
        keyless = is_keyless(context.subscription.target)
        if claimed.action == "remove" and not kind.removal_has_payload and (claimed.record_id or not keyless):
            # Its record is found without the participant, who may not be there any more.
            return _outbound(context)
        participant_id = None
        if kind.resolves_participants:
            participant_id = context.known_participant_id
            if participant_id is None:
                who = await self._participants.look_up(context.connector, context.subscriber, context.event, recorder)
                if not isinstance(who, ParticipantFound):
                    return who
                participant_id = who.participant_id
        payload: dict[str, Any] = {}
        if claimed.action == "send" or kind.removal_has_payload:
            try:
                rendered = await self._payloads.payload(
                    context.subscription,
                    context.subscriber,
                    context.event,
                    participant_id,
                    program_name=context.program_name,
                )
            except TemplateError as error:
                return parked_for_template(error, claimed)
            if isinstance(rendered, NotSent):
                return Completion(state="skipped", code=rendered.code, message=CAUSES[rendered.code].meaning)
            payload = rendered
        try:
            async with asyncio.timeout(self._patience_seconds):
                others = await held.enter_async_context(
                    self._sibling_rows.of(claimed, context.subscription.target, participant_id or "")
                )
        except TimeoutError:
            return stepped_aside(claimed, at=clock.now())
        return _outbound(context, participant_id or "", payload, others)

    async def forget_participant(self, context: DeliveryContext) -> None:
        """Look the participant up again the next time: the subscriber does not know the one that was found."""
        await self._participants.forget(context.subscriber.subscriber_id, context.event)


def _outbound(
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
        # Cheap and safe: whatever was tried before for this source record may be there.
        outcome_unknown=claimed.tried_before and claimed.record_id is None,
        others_record_ids=others,
    )
