"""
The connector for webhooks: from an outbound record to a signed POST, and from its answer to an outcome.

A receiver gets each delivery at least once, always with the same `webhook-id`; so what may have arrived is sent again.

Sources: the hub's contract, sections 6 and 7; Standard Webhooks 1.0.0, "Delivery success and failure".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.answers import postponed, told
from learning_hub.connectors.base import (
    Accepted,
    CheckResult,
    Finding,
    Needs,
    OutboundRecord,
    Outcome,
    ParticipantFound,
    ParticipantResult,
    Postponed,
    Recorder,
    Refused,
    TakeTurn,
    TemplateProblem,
)
from learning_hub.connectors.http import (
    Answer,
    NotSent,
    OutcomeUnknown,
    Request,
    exchange,
    reach,
)
from learning_hub.connectors.network import Client, TargetNotAllowed
from learning_hub.connectors.webhook.secrets import retiring_until, signing_secrets
from learning_hub.connectors.webhook.settings import read_settings
from learning_hub.connectors.webhook.signing import sign
from learning_hub.model.clock import now, written
from learning_hub.model.json_values import write_json


class WebhookConnector:
    """
    Posts to one address.

    Args:
        settings: Found right by `check_settings`.
        credentials: As `prepare_credentials` gave them to be stored.
        guard: Judges every address that is connected to.
        timeout_seconds: For each HTTP exchange; there is one to a try.
        lock_credentials: Not needed: nothing is renewed by use.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        credentials: Mapping[str, Any],
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: TakeTurn | None = None,  # noqa: ARG002 - all connectors are made alike.
    ) -> None:
        self._settings = read_settings(settings)
        self._credentials = credentials
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._client = Client(guard)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:  # noqa: ARG002
        """The publisher's own id: a webhook is asked for nobody (`Kind.resolves_participants`)."""
        return ParticipantFound(publisher_participant_id)

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Post the payload."""
        return await self._post(outbound, recorder)

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Post the payload as one to take back; what the receiver does is up to it."""
        return await self._post(outbound, recorder)

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Connect and let go again: a receiver would take whatever is posted for an event."""
        # All subscriptions are posted to the one address.
        del needs
        url = self._settings.url
        try:
            failed = await reach(self._guard, url, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            return CheckResult.of(Finding(subject="address", state="wrong", message=str(objection)))
        if failed:
            message = f"{url} cannot be reached. {failed.message}"
            return CheckResult.of(Finding(subject="address", state="wrong", message=message))
        secured = ", with a certificate that is valid" if url.startswith("https:") else ", without encryption"
        untried = "Nothing was posted: whether the receiver takes the signature shows with the first event."
        details = [
            Finding(subject="address", message=f"{url} can be reached{secured}."),
            Finding(subject="signature", message=untried),
        ]
        if until := retiring_until(self._credentials, now()):
            message = f"Until {written(until)} requests are also signed with a former SigningSecret."
            details.append(Finding(subject="former-secret", message=message))
        return CheckResult.of(*details)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _post(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        try:
            result = await exchange(
                self._client, self._request(outbound), recorder, timeout_seconds=self._timeout_seconds
            )
        except TargetNotAllowed as objection:
            return Refused(code="target_not_allowed", message=str(objection))
        return outcome_of(result) if isinstance(result, Answer) else unanswered(result)

    def _request(self, outbound: OutboundRecord) -> Request:
        moment = now()
        timestamp, body = int(moment.timestamp()), write_json(outbound.payload)
        secrets, token = signing_secrets(self._credentials, moment), self._credentials.get("Token")
        return Request(
            method="POST",
            url=self._settings.url,
            headers={
                **self._settings.headers,
                **({"Authorization": f"Bearer {token}"} if token else {}),
                "Content-Type": "application/json",
                "webhook-id": outbound.delivery_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(outbound.delivery_id, timestamp, body, secrets),
                "learning-hub-action": outbound.action,
            },
            body=body,
            wrote=True,
            secrets=(*secrets, *([token] if token else [])),
            masked_headers=frozenset(self._settings.headers),
        )


def outcome_of(answer: Answer) -> Outcome:
    """The outcome that follows from a whole answer."""
    message = f"The webhook answered {told(answer)}"
    if 200 <= answer.status < 300:
        return Accepted()
    if answer.status == 410:
        return Refused(code="gone", message=message, stops_subscription=True)
    if answer.status in (401, 403):
        return Refused(code="credentials_refused", message=message)
    return postponed(answer, message, wrote=True) or Refused(code="refused", message=message)


def unanswered(result: NotSent | OutcomeUnknown) -> Postponed:
    """The outcome where there was no whole answer: it is sent again, also where it may have arrived."""
    return Postponed(
        code=result.code,
        message=f"The hub got no answer from the webhook. {result.message}",
        subscriber_is_away=True,
        in_doubt=isinstance(result, OutcomeUnknown),
    )


def check_template(
    target: Mapping[str, Any],  # noqa: ARG001 - all kinds are asked alike.
    template: Mapping[str, Any],  # noqa: ARG001
    settings: Mapping[str, Any] | None = None,  # noqa: ARG001
) -> list[TemplateProblem]:
    """Nothing: a receiver takes any JSON object."""
    return []
