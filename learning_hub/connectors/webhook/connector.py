"""
The connector for webhooks: from an outbound record to a signed POST, and from the response to an outcome.

A receiver gets each delivery at least once, always with the same `webhook-id`, so a request that may have arrived is
sent again.

Sources: the hub's contract, sections 6 and 7; Standard Webhooks 1.0.0, "Delivery success and failure".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learning_hub.connectors.address_check import check_address
from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import LockCredentials, OutboundRecord, Recorder
from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.connectors.http import (
    HttpRequest,
    HttpResponse,
    exchange,
)
from learning_hub.connectors.network import Client, TargetNotAllowed
from learning_hub.connectors.outcomes import Outcome, ParticipantFound, ParticipantResult, Refused
from learning_hub.connectors.responses import StatusMeanings, classify, describe_response, not_answered
from learning_hub.connectors.webhook.echoes import masked_address, secrets_of_address, secrets_of_headers
from learning_hub.connectors.webhook.secrets import retiring_until, signing_secrets
from learning_hub.connectors.webhook.settings import read_settings
from learning_hub.connectors.webhook.signing import sign
from learning_hub.model.clock import now, written
from learning_hub.model.json_values import write_json

STATUSES = StatusMeanings(gone=frozenset((410,)))


class WebhookConnector:
    """
    Posts to one address.

    Args:
        settings: Valid by `check_settings`.
        credentials: As `prepare_credentials` returned them to be stored.
        guard: Checks every address before the hub connects to it.
        timeout_seconds: For each HTTP exchange; an attempt is one exchange.
        lock_credentials: Not needed: the credentials do not change by use.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        credentials: Mapping[str, Any],
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: LockCredentials | None = None,  # noqa: ARG002 - all connectors are made alike.
    ) -> None:
        self._settings = read_settings(settings)
        self._credentials = credentials
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._client = Client(guard)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:  # noqa: ARG002
        """The publisher's own id: a webhook looks up no participants (`Kind.resolves_participants`)."""
        return ParticipantFound(publisher_participant_id)

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Post the payload."""
        return await self._post(outbound, recorder)

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Post the payload with the action `remove`; the receiver decides what it does."""
        return await self._post(outbound, recorder)

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Connect and disconnect: a receiver would take anything that is posted for an event."""
        # All subscriptions post to the same address.
        del needs
        address = await check_address(
            self._guard,
            self._settings.url,
            timeout_seconds=self._timeout_seconds,
            shown_url=masked_address(self._settings.url),
        )
        if address.state == "wrong":
            return CheckResult.of(address)
        untried = "Nothing was posted: whether the receiver takes the signature shows with the first event."
        details = [address, Finding(subject="signature", message=untried)]
        if until := retiring_until(self._credentials, now()):
            message = f"Until {written(until)} requests are also signed with a former SigningSecret."
            details.append(Finding(subject="former-secret", message=message))
        return CheckResult.of(*details)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _post(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        try:
            result = await exchange(
                self._client, self._request(outbound), recorder, timeout_seconds=self._timeout_seconds
            )
        except TargetNotAllowed as objection:
            return Refused(code="target_not_allowed", message=str(objection))
        return outcome_of(result) if isinstance(result, HttpResponse) else not_answered(result, "the webhook")

    def _request(self, outbound: OutboundRecord) -> HttpRequest:
        moment = now()
        timestamp, body = int(moment.timestamp()), write_json(outbound.payload)
        secrets, token = signing_secrets(self._credentials, moment), self._credentials.get("Token")
        return HttpRequest(
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
            secrets=(
                *secrets,
                *([token] if token else []),
                *secrets_of_headers(self._settings.headers),
                *secrets_of_address(self._settings.url),
            ),
            masked_headers=frozenset(self._settings.headers),
            shown_url=masked_address(self._settings.url),
        )


def outcome_of(response: HttpResponse) -> Outcome:
    """The outcome of a complete response."""
    message = f"The webhook answered {describe_response(response)}"
    return classify(response, message, wrote=True, meanings=STATUSES)
