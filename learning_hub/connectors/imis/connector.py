"""The connector for iMIS: from an outbound record to an outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import (
    CheckResult,
    Comparison,
    Exchange,
    Needs,
    OutboundRecord,
    Outcome,
    ParticipantResult,
    Postponed,
    Recorder,
    Refused,
    TakeTurn,
    TemplateProblem,
    Unknown,
)
from learning_hub.connectors.discovery import (
    Blueprint,
    Built,
    Clash,
    Fields,
    NoTarget,
    Targets,
    TemplateValidation,
)
from learning_hub.connectors.http import Request, Result, exchange
from learning_hub.connectors.imis import activity, activity_types, fitness, panel
from learning_hub.connectors.imis.answers import Failed
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.builder import build
from learning_hub.connectors.imis.definition import Definitions
from learning_hub.connectors.imis.examination import examine
from learning_hub.connectors.imis.participants import find_participant
from learning_hub.connectors.imis.record import Record
from learning_hub.connectors.imis.records import Records
from learning_hub.connectors.imis.settings import (
    USUAL_KEY_PROPERTY,
    PanelTarget,
    read_credentials,
    read_settings,
    read_target,
)
from learning_hub.connectors.imis.sources import Sources
from learning_hub.connectors.imis.token import Tokens
from learning_hub.connectors.network import Client, TargetNotAllowed
from learning_hub.model.template import Leaf

# Of a try that goes a long way: a sign-in, a participant looked up by a query the older way (4), a panel's definition,
# a record read, searched for, deleted with its former contact, inserted and found again, and a token that was denied
# once (2).
MOST_EXCHANGES = 13

# A check makes more, which a site that answers does in less time than so many may take.
_CHECK_EXCHANGES = 2

T = TypeVar("T")
Ended = Postponed | Refused | Unknown


class ImisConnector:
    """
    Speaks to one iMIS site with one account.

    Args:
        settings: Found right by `check_settings`.
        credentials: Found right by `check_credentials`.
        guard: Judges every address that is connected to.
        timeout_seconds: For each HTTP exchange; `MOST_EXCHANGES` of them make a try.
        lock_credentials: Gives a turn at renewing the stored refresh token, in place of which the site gives a new one.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        credentials: Mapping[str, Any],
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: TakeTurn | None = None,
    ) -> None:
        self._settings = read_settings(settings)
        self._timeout_seconds = timeout_seconds
        self._client = Client(guard)
        base_url = self._settings.base_url
        account = read_credentials(credentials)
        self._tokens = Tokens(base_url, account, self._exchange, lock_credentials)
        self._api = Api(base_url, self._tokens, self._exchange)
        self._definitions = Definitions(self._api)
        self._sources = Sources(self._api, self._settings.activity_key_property)
        self._zone = ZoneInfo(self._settings.zone_name)
        self._records = Records(self._api, self._zone)

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:
        """Who the publisher's participant is at the site, by its `ParticipantLookup`."""
        way = self._settings.participant_lookup
        found = await _ended(find_participant(self._api, way, publisher_participant_id, recorder))
        if isinstance(found, Unknown):
            return Postponed(code=found.code, message=found.message, subscriber_is_away=found.subscriber_is_away)
        return found

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Bring the payload to the site as one record, new or updated."""

        async def bring() -> Outcome:
            record = await self._lay_out(outbound, recorder)
            accepted = await self._records.bring(record, outbound, recorder)
            return await self._records.confirmed(record, accepted, recorder)

        return await _ended(bring())

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Take the source record's record back."""

        async def take_back() -> Outcome:
            record = await self._lay_out(outbound, recorder)
            return await self._records.take_back(record, outbound, recorder)

        return await _ended(take_back())

    async def compare(self, outbound: OutboundRecord, recorder: Recorder) -> Comparison | Ended:
        """How the source record's record stands at the site beside the outbound."""

        async def look() -> Comparison:
            record = await self._lay_out(outbound, recorder)
            return await self._records.compare(record, outbound, recorder)

        return await _ended(look())

    async def targets(self, recorder: Recorder) -> Targets | Ended:
        """Activities and the panel sources of the site."""
        return await _ended(self._sources.targets(recorder))

    async def fields(self, name: str, recorder: Recorder) -> Fields | NoTarget | Ended:
        """The columns of activities or of the panel source *name*."""
        return await _ended(self._sources.fields(name, recorder))

    async def judge(
        self,
        target: Mapping[str, Any],
        templates: Mapping[str, Mapping[str, Any]],
        leaves: Mapping[str, Leaf],
        recorder: Recorder,
    ) -> TemplateValidation | Ended:
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
        validation = fitness.judge(read, key_property, templates, leaves, fields)
        if not isinstance(read, PanelTarget) and not validation.problems and not validation.target_errors:
            validation.warnings += await activity_types.missing_types(self._api, templates, leaves, recorder)
        return validation

    async def build(self, blueprint: Blueprint, recorder: Recorder) -> Built | Clash | Ended:
        """The panel source of the blueprint, made or extended."""
        return await _ended(build(self._api, blueprint, recorder))

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Sign in, also if the credentials were refused before, and read the first row of what is needed."""
        self._tokens.forget()
        most_seconds = _CHECK_EXCHANGES * self._timeout_seconds
        return await examine(self._api, self._tokens, self._settings, needs, NoJournal(), most_seconds=most_seconds)

    async def close(self) -> None:
        """Let go of connections."""
        await self._tokens.close()
        await self._client.close()

    async def _lay_out(self, outbound: OutboundRecord, recorder: Recorder) -> Record:
        target = read_target(outbound.target)
        if not isinstance(target, PanelTarget):
            return activity.lay_out(outbound, self._settings.activity_key_property, self._zone)
        needed = set(outbound.payload) | ({target.key_property} if target.key_property else set())
        columns = await self._definitions.columns(target.name, recorder, needed=needed)
        return panel.lay_out(outbound, target, columns, self._zone)

    async def _exchange(self, request: Request, recorder: Recorder) -> Result:
        request = msgspec.structs.replace(request, secrets=(*request.secrets, *self._tokens.secrets))
        try:
            return await exchange(self._client, request, recorder, timeout_seconds=self._timeout_seconds)
        except TargetNotAllowed as objection:
            raise Failed(Refused(code="target_not_allowed", message=str(objection))) from objection


class NoJournal:
    """Takes nothing down: a check is no try at a delivery."""

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        pass


def check_template(
    target: Mapping[str, Any], template: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> list[TemplateProblem]:
    """
    What in *template* this *target* cannot take, as far as can be told without asking the site.

    Args:
        target: Found right by `check_target`.
        template: The template of one category.
        settings: Of the subscriber; without them `ActivityKeyProperty` is taken to be the usual one.
    """
    read = read_target(target)
    if isinstance(read, PanelTarget):
        return panel.check_template(template, read)
    key_property = (settings or {}).get("ActivityKeyProperty") or USUAL_KEY_PROPERTY
    return activity.check_template(template, key_property)


async def _ended(talk: Awaitable[T]) -> T | Ended:
    """What a conversation with the site came to, also where it failed."""
    try:
        return await talk
    except Failed as failed:
        return failed.outcome
