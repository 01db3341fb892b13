"""
What a connector must be: the interface between the worker and a subscriber's protocol.

A connector knows one protocol and answers with a value (`connectors/outcomes.py`); the worker decides what follows. It
keeps no state about deliveries and never retries. Its folder holds everything about one kind of subscriber.

    Connector      every connector
    Batching       sends many records in one request
    Comparing      can read what the subscriber holds
    Discovering    can list targets and their fields
    Building       can create a target
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from learning_hub.connectors.building import Blueprint, Built, Clash
from learning_hub.connectors.check_results import CheckResult, Needs
from learning_hub.connectors.discovery import Fields, NoTarget, Targets
from learning_hub.connectors.outcomes import Failure, Outcome, ParticipantResult
from learning_hub.connectors.template_validation import TemplateValidation
from learning_hub.model.template import Leaf


class OutboundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    One delivery, ready to be sent.

    *payload* is the rendered template: JSON values; numbers with a fraction are `decimal.Decimal` and keep their
    spelling (`write_json` of model.json_values preserves it). It is empty for a removal unless the kind of subscriber
    asks for it (`Kind.removal_has_payload`). *participant_id* is the participant's id at the subscriber, empty where
    the kind looks up none. *record_key* is the hub's own key of the source record at this subscription: 36 characters,
    the same for all revisions. *record_id* is the identity that an earlier delivery of the same source record got, None
    where there was none. *outcome_unknown* says that an earlier attempt may have been carried out: ask the subscriber
    before writing. *may_exist* says that the hub's database may have gone back in time, and with it the memory of an
    attempt: ask for the record key before the first insert. *others_record_ids* are the identities that belong to other
    source records, of any subscription of this subscriber, where the target has no column for the record key; None
    where the hub did not look them up.
    """

    delivery_id: str
    action: Literal["send", "remove"]
    target: Mapping[str, Any]
    payload: Mapping[str, Any]
    participant_id: str
    record_key: str
    record_id: str | None = None
    outcome_unknown: bool = False
    may_exist: bool = False
    others_record_ids: frozenset[str] | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One HTTP request and its response as kept with an attempt, without secrets; bodies as text, at most 64 KiB."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None
    status: int | None = None
    response_headers: dict[str, str] = {}
    response_body: str | None = None
    started_utc: datetime | None = None


class Recorder(Protocol):
    """Records the exchanges of an attempt; the last one that wrote, or else the last, is kept with the attempt."""

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        """Record one exchange; *wrote* is true for a request that is meant to change something at the subscriber."""


class NoRecorder:
    """Records nothing: the exchange is no attempt at a delivery."""

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        pass


class PreparedCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials to be stored; *made* are those of them that the hub generated, which are shown only once."""

    credentials: dict[str, Any]
    made: dict[str, str] = {}


class CredentialsLock(Protocol):
    """
    The lock on a subscriber's stored credentials, held by one task of one process at a time.

    For credentials that change with each use, such as a refresh token that can be used once.
    """

    async def read(self) -> Mapping[str, Any]:
        """The credentials as they are stored now."""

    async def keep(self, credentials: Mapping[str, Any]) -> None:
        """Store *credentials* instead of those read last, unless an administrator has saved others since."""


LockCredentials = Callable[[], AbstractAsyncContextManager[CredentialsLock]]


class Difference(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A field in which the subscriber's record differs from what was sent; both values are JSON values."""

    field: str
    sent: Any
    held: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """
    The subscriber's record compared with an outbound record: *record_id* is None where it has no record.

    *surplus_record_ids* are the identities of further records with the same record key.
    """

    record_id: str | None
    differences: list[Difference]
    surplus_record_ids: list[str] = []


class Connector(Protocol):
    """Speaks one subscriber's protocol with one set of credentials; safe for concurrent use on one event loop."""

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:
        """The publisher's participant at this subscriber, looked up by the subscriber's `ParticipantLookup`."""

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Write the payload: as a new record, or as an update of the source record's existing one."""

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Remove the source record's record; a record that is gone already counts as accepted, unchanged."""

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Sign in, and verify that the subscriber has what the subscriptions need; writes nothing."""

    async def close(self) -> None:
        """Close all connections."""


class Batching(Protocol):
    """A connector that sends many records in one request (`Kind.batch`)."""

    async def send_many(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Sequence[Outcome]:
        """Write the payloads in one request; an outcome for each, in order. All have the same target."""


class Comparing(Protocol):
    """A connector that can read what the subscriber holds (`Kind.can_compare`)."""

    async def compare(self, outbound: OutboundRecord, recorder: Recorder) -> Comparison | Failure:
        """Compare the source record's record with *outbound*; a failure where the subscriber cannot be asked."""


class Discovering(Protocol):
    """
    A connector that can ask the subscriber for its targets and their fields (`Kind.can_discover`).

    The subscriber is asked on each call; a failure where it cannot be asked.
    """

    async def targets(self, recorder: Recorder) -> Targets | Failure:
        """The targets of the subscriber."""

    async def fields(self, name: str, recorder: Recorder) -> Fields | NoTarget | Failure:
        """The fields of the target *name*, which may be in any case."""

    async def validate_templates(
        self,
        target: Mapping[str, Any],
        templates: Mapping[str, Mapping[str, Any]],
        leaves: Mapping[str, Leaf],
        recorder: Recorder,
    ) -> TemplateValidation | Failure:
        """
        What is wrong with *templates* in addition to what `Kind.check_template` reports.

        Args:
            target: Valid by `Kind.check_target`.
            templates: By category, without those that are switched off.
            leaves: What static analysis knows of leaves with Liquid, by place.
            recorder: Records the exchanges.
        """


class Building(Protocol):
    """A connector that can create a target at the subscriber (`Kind.can_build`)."""

    async def build(self, blueprint: Blueprint, recorder: Recorder) -> Built | Clash | Failure:
        """
        Create the target, or add the fields that it lacks; nothing existing is removed or narrowed.

        The call is idempotent, so it can be repeated after any outcome.
        """
