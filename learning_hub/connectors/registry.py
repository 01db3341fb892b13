"""
Which kinds of subscribers there are: the one place that knows every connector.

A connector is a folder beside this module; adding one is adding its Kind here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from learning_hub.connectors import imis, learningbuilder, webhook
from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import (
    Connector,
    Prepared,
    TakeTurn,
    TemplateProblem,
)
from learning_hub.model.errors import FieldError
from learning_hub.model.panel import PanelField

Json = Mapping[str, Any]


class Build(Protocol):
    """Makes a connector; it connects to nothing yet."""

    def __call__(
        self,
        settings: Json,
        credentials: Json,
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: TakeTurn | None = None,
    ) -> Connector: ...


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many outbounds of one subscription go into one request, and how long the first waits for the others.

    Once their payloads have *most_bytes* together, none is added any more.
    """

    most: int
    most_bytes: int
    seconds: float


def _as_sent(sent: Json, stored: Json, now: datetime) -> Prepared:  # noqa: ARG001 - what is sent replaces all there is.
    return Prepared(credentials=dict(sent))


def _names_nothing(name: str, fields: Mapping[int, PanelField]) -> list[FieldError]:  # noqa: ARG001 - builds nothing.
    return []


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind of subscriber.

    The checks return what is wrong, fields with their whole path (`Settings.TimeZone`). What the others are given has
    been found right by the checks.

    *one_record_for* says which deliveries write the same record at the subscriber: those of one `source_record`,
    whatever their event type, or those of one `source_key` alone.
    *resolves_participants*: a publisher's participant is looked up there before anything is rendered.
    *removal_has_payload*: a removal is rendered as well, because the payload alone names the record.
    *can_remove*: the subscriber can be told to take a record back. *can_compare*: the connector is `Comparing`.
    *can_describe*: the connector is `Discovering`. *batch*: the connector is `Batching`. *can_build*: the connector is
    `Building`; *check_panel* then says what is wrong with the names of a panel and of fields, by their place in the
    list that was sent.

    *needs_credentials*: there can be no subscriber without. *prepare_credentials* says what to store of the credentials
    that an administrator sent, given those that are stored and the time; *credential_names* which of those stored may
    be named.
    """

    check_settings: Callable[[Json, Guard], list[FieldError]]
    check_credentials: Callable[[Json], list[FieldError]]
    check_target: Callable[[Json], list[FieldError]]
    check_template: Callable[[Json, Json, Json], list[TemplateProblem]]
    time_zone: Callable[[Json], str]
    max_concurrency: Callable[[Json], int]
    build: Build
    one_record_for: Literal["source_record", "source_key"] = "source_record"
    resolves_participants: bool = True
    removal_has_payload: bool = False
    can_remove: bool = True
    can_compare: bool = False
    can_build: bool = False
    check_panel: Callable[[str, Mapping[int, PanelField]], list[FieldError]] = _names_nothing
    can_describe: bool = False
    batch: BatchLimits | None = None
    needs_credentials: bool = True
    prepare_credentials: Callable[[Json, Json, datetime], Prepared] = _as_sent
    credential_names: Callable[[Json], list[str]] = list


KINDS: dict[str, Kind] = {
    "imis": Kind(
        check_settings=imis.check_settings,
        check_credentials=imis.check_credentials,
        check_target=imis.check_target,
        check_template=imis.check_template,
        time_zone=imis.time_zone,
        max_concurrency=imis.max_concurrency,
        build=imis.ImisConnector,
        can_compare=True,
        can_build=True,
        check_panel=imis.check_panel,
        can_describe=True,
    ),
    "learningbuilder": Kind(
        check_settings=learningbuilder.check_settings,
        check_credentials=learningbuilder.check_credentials,
        check_target=learningbuilder.check_target,
        check_template=learningbuilder.check_template,
        time_zone=learningbuilder.time_zone,
        max_concurrency=learningbuilder.max_concurrency,
        build=learningbuilder.LearningBuilderConnector,
        resolves_participants=False,
        can_remove=False,
        batch=BatchLimits(
            most=learningbuilder.MOST_IN_BATCH, most_bytes=learningbuilder.MOST_BYTES_IN_BATCH, seconds=2.0
        ),
    ),
    "webhook": Kind(
        check_settings=webhook.check_settings,
        check_credentials=webhook.check_credentials,
        check_target=webhook.check_target,
        check_template=webhook.check_template,
        time_zone=webhook.time_zone,
        max_concurrency=webhook.max_concurrency,
        build=webhook.WebhookConnector,
        one_record_for="source_key",
        resolves_participants=False,
        removal_has_payload=True,
        needs_credentials=False,
        prepare_credentials=webhook.prepare_credentials,
        credential_names=webhook.credential_names,
    ),
}


class Registry:
    """
    The kinds of subscribers with what all their connectors share.

    Args:
        guard: Judges every address that is connected to.
        timeout_seconds: For each HTTP exchange.
    """

    def __init__(self, guard: Guard, *, timeout_seconds: float) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    @staticmethod
    def check_kind(name: str) -> str | None:
        """Why there can be no subscriber of this kind; None when there can."""
        if name in KINDS:
            return None
        return f"must be one of {', '.join(KINDS)}"

    def check_settings(self, name: str, settings: Json) -> list[FieldError]:
        """What is wrong with the Settings of a subscriber, its address included."""
        return KINDS[name].check_settings(settings, self._guard)

    def connector(
        self, name: str, settings: Json, credentials: Json, *, lock_credentials: TakeTurn | None = None
    ) -> Connector:
        """
        A connector of the kind *name*.

        Args:
            name: Of the kind, as in a subscriber's `Connector`.
            settings: Of the subscriber.
            credentials: Of the subscriber, decrypted.
            lock_credentials: Gives a turn at renewing the credentials as they are stored; None where nothing is stored.
        """
        return KINDS[name].build(
            settings,
            credentials,
            guard=self._guard,
            timeout_seconds=self._timeout_seconds,
            lock_credentials=lock_credentials,
        )
