"""The connector for iMIS: from an outbound record to an outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import Comparison, LockCredentials, NoRecorder, OutboundRecord, Recorder
from learning_hub.connectors.building import Blueprint, Built, Clash
from learning_hub.connectors.check_results import CheckResult, Needs
from learning_hub.connectors.discovery import Fields, NoTarget, Targets
from learning_hub.connectors.http import ExchangeResult, HttpRequest, exchange
from learning_hub.connectors.imis import activity, activity_types, panel
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.discovery import SiteDiscovery
from learning_hub.connectors.imis.panel_builder import build
from learning_hub.connectors.imis.participants import find_participant
from learning_hub.connectors.imis.record import Record
from learning_hub.connectors.imis.record_writer import RecordWriter
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import (
    USUAL_KEY_PROPERTY,
    PanelTarget,
    read_credentials,
    read_settings,
    read_target,
)
from learning_hub.connectors.imis.source_definition import Definitions
from learning_hub.connectors.imis.subscriber_check import check_site
from learning_hub.connectors.imis.template_validation import validate_templates
from learning_hub.connectors.imis.token import Tokens
from learning_hub.connectors.network import Client, TargetNotAllowed
from learning_hub.connectors.outcomes import Failure, Outcome, ParticipantResult, Postponed, Refused, Unknown
from learning_hub.connectors.template_validation import TemplateProblem, TemplateValidation
from learning_hub.model.template import Leaf

# The longest attempt: a sign-in, a participant looked up by a query the older way (4), a panel's definition, a record
# read, searched for, deleted with its former contact, inserted and found again, and a token that was denied once (2).
MOST_EXCHANGES = 13

# A check makes more exchanges than this; a site that works answers all of them in the time that these may take.
_CHECK_EXCHANGES = 2

T = TypeVar("T")


class ImisConnector:
    """
    Speaks to one iMIS site with one account.

    Args:
        settings: Valid by `check_settings`.
        credentials: Valid by `check_credentials`.
        guard: Checks every address before the hub connects to it.
        timeout_seconds: For each HTTP exchange; an attempt makes up to `MOST_EXCHANGES`.
        lock_credentials: Locks the stored credentials while the refresh token, which the site replaces, is renewed.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        credentials: Mapping[str, Any],
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: LockCredentials | None = None,
    ) -> None:
        self._settings = read_settings(settings)
        self._timeout_seconds = timeout_seconds
        self._client = Client(guard)
        base_url = self._settings.base_url
        account = read_credentials(credentials)
        self._tokens = Tokens(base_url, account, self._exchange, lock_credentials)
        self._api = Api(base_url, self._tokens, self._exchange)
        self._definitions = Definitions(self._api)
        self._discovery = SiteDiscovery(self._api, self._settings.activity_key_property)
        self._zone = ZoneInfo(self._settings.zone_name)
        self._records = RecordWriter(self._api, self._zone)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:
        """The publisher's participant at the site, looked up by `ParticipantLookup`."""
        way = self._settings.participant_lookup
        found = await _outcome_of(find_participant(self._api, way, publisher_participant_id, recorder))
        if isinstance(found, Unknown):
            return Postponed(code=found.code, message=found.message, subscriber_is_away=found.subscriber_is_away)
        return found

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Write the payload as one record, new or updated."""

        async def write() -> Outcome:
            record = await self._lay_out(outbound, recorder)
            accepted = await self._records.write(record, outbound, recorder)
            return await self._records.confirmed(record, accepted, recorder)

        return await _outcome_of(write())

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Remove the source record's record."""

        async def delete() -> Outcome:
            record = await self._lay_out(outbound, recorder)
            return await self._records.remove(record, outbound, recorder)

        return await _outcome_of(delete())

    async def compare(self, outbound: OutboundRecord, recorder: Recorder) -> Comparison | Failure:
        """Compare the source record's record at the site with *outbound*."""

        async def read() -> Comparison:
            record = await self._lay_out(outbound, recorder)
            return await self._records.compare(record, outbound, recorder)

        return await _outcome_of(read())

    async def targets(self, recorder: Recorder) -> Targets | Failure:
        """Activities and the panel sources of the site."""
        return await _outcome_of(self._discovery.targets(recorder))

    async def fields(self, name: str, recorder: Recorder) -> Fields | NoTarget | Failure:
        """The columns of activities or of the panel source *name*."""
        return await _outcome_of(self._discovery.fields(name, recorder))

    async def validate_templates(
        self,
        target: Mapping[str, Any],
        templates: Mapping[str, Mapping[str, Any]],
        leaves: Mapping[str, Leaf],
        recorder: Recorder,
    ) -> TemplateValidation | Failure:
        """What in *templates* does not fit the columns that the site has now."""
        read = read_target(target)
        name, key_property = activity.ENTITY, self._settings.activity_key_property or None
        if isinstance(read, PanelTarget):
            name, key_property = read.name, read.key_property
        fields = await self.fields(name, recorder)
        if isinstance(fields, NoTarget):
            return TemplateValidation(warnings=[fields.message])
        if not isinstance(fields, Fields):
            return fields
        validation = validate_templates(read, key_property, templates, leaves, fields)
        if not isinstance(read, PanelTarget) and not validation.problems and not validation.target_errors:
            validation.warnings += await activity_types.missing_types(self._api, templates, leaves, recorder)
        return validation

    async def build(self, blueprint: Blueprint, recorder: Recorder) -> Built | Clash | Failure:
        """The panel source of the blueprint, created or extended."""
        return await _outcome_of(build(self._api, blueprint, recorder))

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Sign in, even if the credentials were refused before, and read the first row of everything that is needed."""
        self._tokens.forget()
        most_seconds = _CHECK_EXCHANGES * self._timeout_seconds
        return await check_site(self._api, self._tokens, self._settings, needs, NoRecorder(), most_seconds=most_seconds)

    async def close(self) -> None:
        """Let sign-ins finish, and close all connections."""
        await self._tokens.close()
        await self._client.close()

    async def _lay_out(self, outbound: OutboundRecord, recorder: Recorder) -> Record:
        target = read_target(outbound.target)
        if not isinstance(target, PanelTarget):
            return activity.lay_out(outbound, self._settings.activity_key_property, self._zone)
        needed = set(outbound.payload) | ({target.key_property} if target.key_property else set())
        columns = await self._definitions.columns(target.name, recorder, needed=needed)
        return panel.lay_out(outbound, target, columns, self._zone)

    async def _exchange(self, request: HttpRequest, recorder: Recorder) -> ExchangeResult:
        request = msgspec.structs.replace(request, secrets=(*request.secrets, *self._tokens.secrets))
        try:
            return await exchange(self._client, request, recorder, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            raise Failed(Refused(code="target_not_allowed", message=str(objection))) from objection


def check_template(
    target: Mapping[str, Any], template: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> list[TemplateProblem]:
    """
    What in *template* the *target* cannot hold, as far as that is known without asking the site.

    Args:
        target: Valid by `check_target`.
        template: The template of one category.
        settings: Of the subscriber; without them `ActivityKeyProperty` has its default.
    """
    read = read_target(target)
    if isinstance(read, PanelTarget):
        return panel.check_template(template, read)
    key_property = (settings or {}).get("ActivityKeyProperty") or USUAL_KEY_PROPERTY
    return activity.check_template(template, key_property)


async def _outcome_of(requests: Awaitable[T]) -> T | Failure:
    """The result of *requests* to the site, or the outcome of the one that failed."""
    try:
        return await requests
    except Failed as failed:
        return failed.outcome
