"""The connector for LearningBuilder: from outbounds to one batch in its import queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import (
    CheckResult,
    Finding,
    Needs,
    OutboundRecord,
    Outcome,
    ParticipantFound,
    ParticipantResult,
    Recorder,
    Refused,
    TakeTurn,
    TemplateProblem,
)
from learning_hub.connectors.http import Answer, Request, exchange, reach
from learning_hub.connectors.learningbuilder.answers import outcome_of, unanswered
from learning_hub.connectors.learningbuilder.batch import address_of, file_name_of, lines_of
from learning_hub.connectors.learningbuilder.settings import read_credentials, read_settings
from learning_hub.connectors.network import Client, TargetNotAllowed


class LearningBuilderConnector:
    """
    Speaks to one LearningBuilder with one key.

    Args:
        settings: Found right by `check_settings`.
        credentials: Found right by `check_credentials`.
        guard: Judges every address that is connected to.
        timeout_seconds: For each HTTP exchange; there is one to a batch.
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
        self._api_key = read_credentials(credentials).api_key
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        # Nobody can be asked whether a batch arrived.
        self._client = Client(guard, keeps_lines=False)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:  # noqa: ARG002
        """The publisher's own id: the import process finds people by itself (`Kind.resolves_participants`)."""
        return ParticipantFound(publisher_participant_id)

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Bring the payload there as a batch of one."""
        (outcome,) = await self.send_many([outbound], recorder)
        return outcome

    async def send_many(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Sequence[Outcome]:
        """Bring the payloads there as one batch, which is taken as a whole or not at all."""
        outcome = await self._post(outbounds, recorder)
        return [outcome] * len(outbounds)

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:  # noqa: ARG002
        """Refused: an import adds and changes, and takes nothing back (`Kind.can_remove`)."""
        message = "LearningBuilder's import takes nothing back: remove the record there, then discard this delivery."
        return Refused(code="refused", message=message)

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Connect and let go again: the key and the import processes could be tried only by making a batch."""
        del needs
        base_url = self._settings.base_url
        try:
            failed = await reach(self._guard, base_url, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            return CheckResult.of(Finding(subject="address", state="wrong", message=str(objection)))
        if failed:
            message = f"{base_url} cannot be reached. {failed.message}"
            return CheckResult.of(Finding(subject="address", state="wrong", message=message))
        secured = ", with a certificate that is valid" if base_url.startswith("https:") else ", without encryption"
        untried = "No batch was made: whether LearningBuilder takes the ApiKey shows with the first one."
        return CheckResult.of(
            Finding(subject="address", message=f"{base_url} can be reached{secured}."),
            Finding(subject="key", message=untried),
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _post(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Outcome:
        file_name, request = file_name_of(outbounds), self._request(outbounds)
        try:
            result = await exchange(self._client, request, recorder, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            return Refused(code="target_not_allowed", message=str(objection))
        return outcome_of(result, file_name) if isinstance(result, Answer) else unanswered(result, file_name)

    def _request(self, outbounds: Sequence[OutboundRecord]) -> Request:
        return Request(
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


def check_template(
    target: Mapping[str, Any],  # noqa: ARG001 - all kinds are asked alike.
    template: Mapping[str, Any],  # noqa: ARG001
    settings: Mapping[str, Any] | None = None,  # noqa: ARG001
) -> list[TemplateProblem]:
    """Nothing: which columns there are is known to the import process alone."""
    return []
