"""The connector for LearningBuilder: from outbound records to one batch in its import queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learning_hub.connectors.address_check import check_address
from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import LockCredentials, OutboundRecord, Recorder
from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.connectors.http import HttpRequest, HttpResponse, exchange
from learning_hub.connectors.learningbuilder.batch import address_of, file_name_of, lines_of
from learning_hub.connectors.learningbuilder.responses import outcome_of, outcome_without_response
from learning_hub.connectors.learningbuilder.settings import read_credentials, read_settings
from learning_hub.connectors.network import Client, TargetNotAllowed
from learning_hub.connectors.outcomes import Outcome, ParticipantFound, ParticipantResult, Refused


class LearningBuilderConnector:
    """
    Sends batches to one LearningBuilder with one API key.

    Args:
        settings: Valid by `check_settings`.
        credentials: Valid by `check_credentials`.
        guard: Checks every address before the hub connects to it.
        timeout_seconds: For each HTTP exchange; a batch is one exchange.
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
        self._api_key = read_credentials(credentials).api_key
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        # LearningBuilder cannot be asked whether a batch arrived, so no request is risked on an idle connection.
        self._client = Client(guard, reuses_connections=False)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:  # noqa: ARG002
        """The publisher's own id: the import process finds people by itself (`Kind.resolves_participants`)."""
        return ParticipantFound(publisher_participant_id)

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Send the payload as a batch of one."""
        (outcome,) = await self.send_many([outbound], recorder)
        return outcome

    async def send_many(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Sequence[Outcome]:
        """Send the payloads as one batch, which is accepted as a whole or not at all."""
        outcome = await self._post(outbounds, recorder)
        return [outcome] * len(outbounds)

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:  # noqa: ARG002
        """Refused: an import adds and changes records and removes none (`Kind.can_remove`)."""
        message = "LearningBuilder's import removes nothing: remove the record there, then discard this delivery."
        return Refused(code="refused", message=message)

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Connect and disconnect: the key and the import process can be tried only by creating a batch."""
        del needs
        address = await check_address(self._guard, self._settings.base_url, timeout_seconds=self._timeout_seconds)
        if address.state == "wrong":
            return CheckResult.of(address)
        untried = "No batch was made: whether LearningBuilder takes the ApiKey shows with the first one."
        return CheckResult.of(address, Finding(subject="key", message=untried))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _post(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Outcome:
        file_name, request = file_name_of(outbounds), self._request(outbounds)
        try:
            result = await exchange(self._client, request, recorder, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            return Refused(code="target_not_allowed", message=str(objection))
        return (
            outcome_of(result, file_name)
            if isinstance(result, HttpResponse)
            else outcome_without_response(result, file_name)
        )

    def _request(self, outbounds: Sequence[OutboundRecord]) -> HttpRequest:
        return HttpRequest(
            method="POST",
            url=address_of(self._settings, outbounds),
            headers={
                "Authorization": f"apikey {self._api_key}",
                "Content-Type": "application/x-ndjson",
                "Accept": "application/json",
            },
            body=lines_of(outbounds),
            wrote=True,
            secrets=(self._api_key,),
        )
