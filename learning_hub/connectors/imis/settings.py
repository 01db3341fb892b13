"""How to reach one iMIS site: the Settings and Credentials of a subscriber, and the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.imis.activity import KEY_COLUMNS, column_for_keys
from learning_hub.connectors.imis.panel_names import own_fault
from learning_hub.connectors.settings_checks import address_fault, check_time_zone
from learning_hub.model.errors import FieldError
from learning_hub.model.fields import check_values, from_values

Text = Annotated[str, Meta(min_length=1, max_length=400)]
# Names of sources and their properties; iMIS reference, section 8.1.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]

USUAL_KEY_PROPERTY = "UF_3"
_CLIENT = ("ClientId", "ClientSecret", "RefreshToken")
_USER = ("Username", "Password")
_KEY_PROPERTY = f"must be a text column of activities that holds a key of 36 characters: {', '.join(KEY_COLUMNS)}"
_NAME_FORM = "must start with a letter, and have letters, digits and underscores only, at most 100"
_TARGET_MESSAGES = {"Name": _NAME_FORM, "KeyProperty": _NAME_FORM}
_SETTINGS_MESSAGES = {
    "ParticipantLookup": 'must be "as-is", "email" or {"Query": "$/…", "Prompt": "…"}',
    "ParticipantLookup.Query": "must begin with $/, as in $/LearningHub/Contacts, and have at most 400 characters",
    "ActivityKeyProperty": _KEY_PROPERTY,
}


class QueryLookup(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """Look up participants with a query of the site."""

    query: Annotated[str, Meta(pattern=r"^\$/.+$", max_length=400, description="The path of the query, `$/…`.")]
    prompt: Annotated[Text, Meta(description="The prompt of the query that takes the publisher's participant id.")]


class ImisSettings(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """
    The site.

    *activity_key_property* is one of `KEY_COLUMNS`, by default `UF_3`: the last of the custom columns that hold text,
    so the column that a site is least likely to use itself. In common installations it is 255 wide, while columns such
    as SOURCE_SYSTEM and OTHER_ID are too narrow.
    """

    base_url: Annotated[Text, Meta(description="Everything before `/token` and `/api`, with any path it has.")]
    time_zone: Annotated[Text, Meta(description="The IANA zone in which the site keeps its dates; UTC by default.")] | (
        None
    ) = None
    participant_lookup: Annotated[
        Literal["as-is", "email"] | QueryLookup,
        Meta(description="How a participant becomes a contact: by e-mail address, as is, or by a query of the site."),
    ] = "email"
    max_concurrency: Annotated[
        int, Meta(ge=1, le=100, description="How many deliveries may be in progress at the same time.")
    ] = 1
    activity_key_property: Annotated[
        Name, Meta(description="The column of activities that keeps the hub's record key.")
    ] = USUAL_KEY_PROPERTY

    @property
    def zone_name(self) -> str:
        """The IANA zone in which the site keeps its dates, as far as it was given."""
        return self.time_zone or "UTC"


class PasswordCredentials(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """An iMIS user, preferably one for the hub alone."""

    username: Annotated[Text, Meta(description="An iMIS user, preferably one for the hub alone.")]
    password: Annotated[Text, Meta(description="The password of that user.")]


class ClientCredentials(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """A client application of iMIS that a user has signed in to."""

    client_id: Annotated[Text, Meta(description="The id of a client application of iMIS.")]
    client_secret: Annotated[Text, Meta(description="The secret of that application.")]
    refresh_token: Annotated[
        str, Meta(min_length=1, max_length=10_000, description="A refresh token of a user who has signed in to it.")
    ]


ImisCredentials = PasswordCredentials | ClientCredentials


class ActivityTarget(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """Activities."""

    kind: Annotated[Literal["activity"], Meta(description="Records are activities.")]


class PanelTarget(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """Rows of a panel source."""

    kind: Annotated[Literal["panel"], Meta(description="Records are rows of a panel source.")]
    name: Annotated[Name, Meta(description="The name of the panel source.")]
    key_property: (
        Annotated[Name, Meta(description="The column that keeps the hub's record key; null where the source has none.")]
        | None
    ) = None


ImisTarget = ActivityTarget | PanelTarget


def read_settings(settings: Mapping[str, Any]) -> ImisSettings:
    """The settings, valid by `check_settings`."""
    read = from_values(settings, ImisSettings)
    return msgspec.structs.replace(read, base_url=read.base_url.removesuffix("/"))


def read_credentials(credentials: Mapping[str, Any]) -> ImisCredentials:
    """The credentials, valid by `check_credentials`."""
    return msgspec.convert(credentials, _kind_of_credentials(credentials))


def read_target(target: Mapping[str, Any]) -> ImisTarget:
    """A target, valid by `check_target`."""
    if target.get("Kind") == "panel":
        return msgspec.convert(target, PanelTarget)
    return msgspec.convert(target, ActivityTarget)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.TimeZone`); a *guard* checks the address as well."""
    errors = check_values(settings, ImisSettings, "Settings", _SETTINGS_MESSAGES)
    check_time_zone(settings, errors)
    bad = {error.field for error in errors}
    key_property = settings.get("ActivityKeyProperty")
    if key_property is not None and "Settings.ActivityKeyProperty" not in bad and not column_for_keys(key_property):
        errors.append(FieldError("Settings.ActivityKeyProperty", _KEY_PROPERTY))
    if "Settings.BaseUrl" not in bad and (objection := _base_url_fault(settings["BaseUrl"], guard)):
        errors.append(FieldError("Settings.BaseUrl", objection))
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.Password`); no message repeats what was sent."""
    kind = _kind_of_credentials(credentials)
    errors = check_values(credentials, kind, "Credentials")
    if kind is PasswordCredentials:
        return errors
    twofold = f"must not stand beside {', '.join(_CLIENT)}: give these three, or Username and Password alone"
    beside = {f"Credentials.{name}" for name in _USER}
    return [FieldError(error.field, twofold) if error.field in beside else error for error in errors]


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.Name`)."""
    kind = target.get("Kind")
    if kind not in ("activity", "panel"):
        # The other fields are checked as those of a panel, which has all fields of both.
        given = check_values({**target, "Kind": "panel"}, PanelTarget, "Target", _TARGET_MESSAGES)
        errors = [error for error in given if error.field.removeprefix("Target.") in target]
        return [FieldError("Target.Kind", "must be activity or panel for a subscriber of the kind imis"), *errors]
    errors = check_values(target, PanelTarget if kind == "panel" else ActivityTarget, "Target", _TARGET_MESSAGES)
    is_named = kind == "panel" and not any(error.field == "Target.Name" for error in errors)
    if is_named and (fault := own_fault(target["Name"])):
        errors.append(FieldError("Target.Name", fault))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The site's time zone, in which it keeps every date."""
    return read_settings(settings).zone_name


def max_concurrency(settings: Mapping[str, Any]) -> int:
    """How many deliveries may be in progress at the same time."""
    return read_settings(settings).max_concurrency


def _kind_of_credentials(credentials: Mapping[str, Any]) -> type[PasswordCredentials | ClientCredentials]:
    is_client = any(name in credentials for name in _CLIENT)
    return ClientCredentials if is_client else PasswordCredentials


def _base_url_fault(base_url: str, guard: Guard | None) -> str | None:
    if objection := address_fault(base_url, guard, "https://members.example.org"):
        return objection
    parts = urlsplit(base_url)
    if parts.query:
        return "must be without a part after ?"
    if re.search(r"/(token|api)/?$", parts.path, re.IGNORECASE):
        return "must be what stands before /token and /api"
    return None
