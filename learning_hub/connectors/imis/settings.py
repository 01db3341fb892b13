"""How to reach one iMIS site: the Settings and Credentials of a subscriber, and the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.declared import address_fault, check_fields, check_time_zone, read_fields
from learning_hub.connectors.imis.activity import KEY_COLUMNS, column_for_keys
from learning_hub.connectors.imis.names import own_fault
from learning_hub.model.errors import FieldError

Text = Annotated[str, Meta(min_length=1, max_length=400)]
# Names of sources and their properties; iMIS reference, section 8.1.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]

USUAL_KEY_PROPERTY = "UF_3"
_CLIENT = ("ClientId", "ClientSecret", "RefreshToken")
_USER = ("Username", "Password")
_KEY_PROPERTY = f"must be a text column of activities that holds a key of 36 characters: {', '.join(KEY_COLUMNS)}"
_NAME_FORM = "must start with a letter, and have letters, digits and underscores only, at most 100"
_TARGET_WORDS = {"Name": _NAME_FORM, "KeyProperty": _NAME_FORM}
_WORDS = {
    "ParticipantLookup": 'must be "as-is", "email" or {"Query": "$/…", "Prompt": "…"}',
    "ParticipantLookup.Query": "must begin with $/, as in $/LearningHub/Contacts, and have at most 400 characters",
    "ActivityKeyProperty": _KEY_PROPERTY,
}


class QueryLookup(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """Find participants with the site's own query at *query* (`$/…`), which asks for *prompt*."""

    query: Annotated[str, Meta(pattern=r"^\$/.+$", max_length=400)]
    prompt: Text


class Settings(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """
    The site.

    *base_url* is everything before `/token` and `/api`, with any path it has. *activity_key_property* is the
    Activity column that keeps the record key, one of `KEY_COLUMNS`. It is `UF_3` by default: of the columns for free
    use it is the last that holds text, so the one a site is least likely to use itself, and in common
    installations it is 255 wide, while SOURCE_SYSTEM, OTHER_ID and their like are too narrow.
    """

    base_url: Text
    time_zone: Text | None = None
    participant_lookup: Literal["as-is", "email"] | QueryLookup = "email"
    max_concurrency: Annotated[int, Meta(ge=1, le=100)] = 1
    activity_key_property: Name = USUAL_KEY_PROPERTY

    @property
    def zone_name(self) -> str:
        """The IANA zone in which the site keeps its dates, as far as anybody said."""
        return self.time_zone or "UTC"


class PasswordCredentials(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """An iMIS user, best one of its own for the hub."""

    username: Text
    password: Text


class ClientCredentials(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """A client application that a user has signed in to; the token server takes the refresh token."""

    client_id: Text
    client_secret: Text
    refresh_token: Annotated[str, Meta(min_length=1, max_length=10_000)]


Credentials = PasswordCredentials | ClientCredentials


class ActivityTarget(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    kind: Literal["activity"]


class PanelTarget(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """Rows of the panel source *name*; *key_property* is the column that keeps the record key, if one does."""

    kind: Literal["panel"]
    name: Name
    key_property: Name | None = None


Target = ActivityTarget | PanelTarget


def read_settings(settings: Mapping[str, Any]) -> Settings:
    """Settings that `check_settings` found right."""
    read = read_fields(settings, Settings)
    return msgspec.structs.replace(read, base_url=read.base_url.removesuffix("/"))


def read_credentials(credentials: Mapping[str, Any]) -> Credentials:
    """Credentials that `check_credentials` found right."""
    return msgspec.convert(credentials, _kind_of_credentials(credentials))


def read_target(target: Mapping[str, Any]) -> Target:
    """A target that `check_target` found right."""
    if target.get("Kind") == "panel":
        return msgspec.convert(target, PanelTarget)
    return msgspec.convert(target, ActivityTarget)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.TimeZone`); with a *guard* the target is judged as well."""
    errors = check_fields(settings, Settings, "Settings", _WORDS)
    check_time_zone(settings, errors)
    bad = {error.field for error in errors}
    key_property = settings.get("ActivityKeyProperty")
    if key_property is not None and "Settings.ActivityKeyProperty" not in bad and not column_for_keys(key_property):
        errors.append(FieldError("Settings.ActivityKeyProperty", _KEY_PROPERTY))
    if "Settings.BaseUrl" not in bad and (objection := _judge_base_url(settings["BaseUrl"], guard)):
        errors.append(FieldError("Settings.BaseUrl", objection))
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.Password`); no message repeats what was sent."""
    kind = _kind_of_credentials(credentials)
    errors = check_fields(credentials, kind, "Credentials")
    if kind is PasswordCredentials:
        return errors
    twofold = f"must not stand beside {', '.join(_CLIENT)}: give these three, or Username and Password alone"
    beside = {f"Credentials.{name}" for name in _USER}
    return [FieldError(error.field, twofold) if error.field in beside else error for error in errors]


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.Name`)."""
    kind = target.get("Kind")
    if kind not in ("activity", "panel"):
        # What is given is judged as for a panel, which has all the fields there are.
        given = check_fields({**target, "Kind": "panel"}, PanelTarget, "Target", _TARGET_WORDS)
        errors = [error for error in given if error.field.removeprefix("Target.") in target]
        return [FieldError("Target.Kind", "must be activity or panel for a subscriber of the kind imis"), *errors]
    errors = check_fields(target, PanelTarget if kind == "panel" else ActivityTarget, "Target", _TARGET_WORDS)
    is_named = kind == "panel" and not any(error.field == "Target.Name" for error in errors)
    if is_named and (fault := own_fault(target["Name"])):
        errors.append(FieldError("Target.Name", fault))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The site's time zone, in which it keeps every date."""
    return read_settings(settings).zone_name


def max_concurrency(settings: Mapping[str, Any]) -> int:
    """How many deliveries may be under way at once."""
    return read_settings(settings).max_concurrency


def _kind_of_credentials(credentials: Mapping[str, Any]) -> type[PasswordCredentials | ClientCredentials]:
    is_client = any(name in credentials for name in _CLIENT)
    return ClientCredentials if is_client else PasswordCredentials


def _judge_base_url(base_url: str, guard: Guard | None) -> str | None:
    if objection := address_fault(base_url, guard, "https://members.example.org"):
        return objection
    parts = urlsplit(base_url)
    if parts.query:
        return "must be without a part after ?"
    if re.search(r"/(token|api)/?$", parts.path, re.IGNORECASE):
        return "must be what stands before /token and /api"
    return None
