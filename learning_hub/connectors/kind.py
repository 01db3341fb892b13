"""
What a kind of subscriber declares about itself: its Structs and checks, how to build its connector, its capabilities.

Each connector's folder exports its own complete `KIND`; `connectors/kinds.py` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.base import Connector, LockCredentials, PreparedCredentials
from learning_hub.connectors.responses import StatusMeanings
from learning_hub.connectors.template_validation import TemplateProblem
from learning_hub.model.enumeration import enumerated
from learning_hub.model.errors import FieldError
from learning_hub.model.panel import PanelField

Json = Mapping[str, Any]
Structs = tuple[type[msgspec.Struct], ...]


class Build(Protocol):
    """Makes a connector, without connecting to anything yet."""

    def __call__(
        self,
        settings: Json,
        credentials: Json,
        *,
        guard: Guard,
        timeout_seconds: float,
        lock_credentials: LockCredentials | None = None,
    ) -> Connector: ...


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many records of one subscription are sent in one request, and how long the first waits for the others.

    No record is added to a batch whose payloads have *most_bytes* together.
    """

    most: int
    most_bytes: int
    seconds: float


def _store_as_sent(sent: Json, stored: Json, now: datetime) -> PreparedCredentials:  # noqa: ARG001 - replaces everything.
    return PreparedCredentials(credentials=dict(sent))


def _check_no_names(name: str, fields: Mapping[int, PanelField]) -> list[FieldError]:  # noqa: ARG001 - builds nothing.
    return []


def _check_nothing(target: Json, template: Json, settings: Json | None = None) -> list[TemplateProblem]:  # noqa: ARG001
    """Any template is valid: the target holds any JSON object."""
    return []


def _show_all(settings: Json) -> dict[str, Any]:
    return dict(settings)


def _keep_none(sent: Json, stored: Json) -> dict[str, Any]:  # noqa: ARG001 - nothing in the settings is secret.
    return dict(sent)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind of subscriber.

    What a subscriber and a subscription of this kind hold, for checks and for the documentation of the API:
    *settings* is the Struct of its Settings, *credentials* the alternatives for its Credentials, *targets* the
    alternatives for the Target of a subscription. Their fields have descriptions (`Meta(description=...)`). *title* is
    the name of the kind in sentences, and *credentials_note* a sentence about the credentials, empty where none is
    needed.

    The checks return what is wrong, fields with their whole path (`Settings.TimeZone`). The other functions are given
    values that passed the checks.

    *statuses* says what HTTP statuses mean to this kind where the common meaning does not apply.

    *one_record_for* says which deliveries write the same record at the subscriber: those of one `source_record`,
    whatever their event type, or only those of one `source_key`, which has the event type in it.
    *key_fields* holds, for each Kind of Target that names a column for the hub's record key, its field that does.
    *resolves_participants*: the publisher's participant is looked up at the subscriber before anything is rendered.
    *removal_has_payload*: a removal is rendered as well, because only the payload identifies the record.
    *can_remove*: the subscriber can remove a record. *can_compare*: the connector is `Comparing`.
    *can_discover*: the connector is `Discovering`. *batch*: the connector is `Batching`. *can_build*: the connector is
    `Building`; *check_panel* then reports what is wrong with the names of a panel and of its fields, by their index in
    the list that was sent.

    *secret_settings* names the Settings that are objects of secret values, which are stored encrypted.
    *shown_settings* returns the Settings without these values; *masked_settings* returns them also without what may be
    secret in an address, for callers who do not set up subscribers. *kept_settings* returns the Settings to check
    and to store, given those that an administrator sent, in whatever form, and those that are stored.

    *needs_credentials*: a subscriber must have credentials. *prepare_credentials* returns what to store, given the
    credentials that an administrator sent, those that are stored, and the time; *credential_names* returns which of
    the stored ones may be shown by name.
    """

    title: str
    settings: type[msgspec.Struct]
    credentials: Structs
    targets: Structs
    credentials_note: str = ""
    check_settings: Callable[[Json, Guard], list[FieldError]]
    shown_settings: Callable[[Json], dict[str, Any]] = _show_all
    masked_settings: Callable[[Json], dict[str, Any]] = _show_all
    kept_settings: Callable[[Json, Json], dict[str, Any]] = _keep_none
    secret_settings: tuple[str, ...] = ()
    check_credentials: Callable[[Json], list[FieldError]]
    check_target: Callable[[Json], list[FieldError]]
    check_template: Callable[[Json, Json, Json], list[TemplateProblem]] = _check_nothing
    time_zone: Callable[[Json], str]
    max_concurrency: Callable[[Json], int]
    build: Build
    statuses: StatusMeanings = StatusMeanings()
    one_record_for: Literal["source_record", "source_key"] = "source_record"
    key_fields: Mapping[str, str] = {}
    resolves_participants: bool = True
    removal_has_payload: bool = False
    can_remove: bool = True
    can_compare: bool = False
    can_build: bool = False
    check_panel: Callable[[str, Mapping[int, PanelField]], list[FieldError]] = _check_no_names
    can_discover: bool = False
    batch: BatchLimits | None = None
    needs_credentials: bool = True
    prepare_credentials: Callable[[Json, Json, datetime], PreparedCredentials] = _store_as_sent
    credential_names: Callable[[Json], list[str]] = list

    def is_keyless(self, target: Json) -> bool:
        """Whether only values and participant tell a record at *target* from others: no column keeps the record key."""
        field = self.key_fields.get(str(target.get("Kind")))
        return field is not None and target.get(field) is None

    @property
    def description(self) -> str:
        """Which Settings and Credentials a subscriber of this kind has, as sentences."""
        alternatives = [enumerated(_names(struct)) for struct in self.credentials]
        credentials = f"either {' or '.join(alternatives)}" if len(alternatives) > 1 else alternatives[0]
        sentence = f"For {self.title}, Settings are {enumerated(_names(self.settings))}, and Credentials {credentials}."
        return f"{sentence} {self.credentials_note}".rstrip()


def _names(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]
