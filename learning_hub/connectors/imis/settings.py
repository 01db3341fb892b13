"""How to reach one iMIS site: the Settings and Credentials of a subscriber, and the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.imis.activity import KEY_COLUMNS, column_for_keys
from learning_hub.model.errors import FieldError

Text = Annotated[str, Meta(min_length=1, max_length=400)]
# Names of sources and their properties; iMIS reference, section 8.1.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]


USUAL_KEY_PROPERTY = "UF_3"


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
    time_zone: Text = "UTC"
    participant_lookup: Literal["as-is", "email"] | QueryLookup = "email"
    max_concurrency: Annotated[int, Meta(ge=1, le=100)] = 1
    activity_key_property: Name = USUAL_KEY_PROPERTY


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
    given = {name: value for name, value in settings.items() if value is not None}
    read = msgspec.convert(given, Settings)
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
    errors = _check_fields(settings, Settings, "Settings")
    bad = {error.field for error in errors}
    time_zone_name, key_property = settings.get("TimeZone"), settings.get("ActivityKeyProperty")
    if time_zone_name is not None and "Settings.TimeZone" not in bad and not _is_time_zone(time_zone_name):
        message = "must be an IANA time zone such as America/New_York"
        errors.append(FieldError("Settings.TimeZone", message))
    if key_property is not None and "Settings.ActivityKeyProperty" not in bad and not column_for_keys(key_property):
        message = f"must be a text column of activities that holds a key of 36 characters: {', '.join(KEY_COLUMNS)}"
        errors.append(FieldError("Settings.ActivityKeyProperty", message))
    if "Settings.BaseUrl" not in bad and (objection := _judge_base_url(settings["BaseUrl"], guard)):
        errors.append(FieldError("Settings.BaseUrl", objection))
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.Password`); no message repeats what was sent."""
    return _check_fields(credentials, _kind_of_credentials(credentials), "Credentials")


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.Name`)."""
    kind = target.get("Kind")
    if kind not in ("activity", "panel"):
        return [FieldError("Target.Kind", "must be activity or panel for a subscriber of the kind imis")]
    return _check_fields(target, PanelTarget if kind == "panel" else ActivityTarget, "Target")


def time_zone(settings: Mapping[str, Any]) -> str:
    """The site's time zone, in which it keeps every date."""
    return read_settings(settings).time_zone


def max_concurrency(settings: Mapping[str, Any]) -> int:
    """How many deliveries may be under way at once."""
    return read_settings(settings).max_concurrency


def _kind_of_credentials(credentials: Mapping[str, Any]) -> type[PasswordCredentials | ClientCredentials]:
    is_client = any(name in credentials for name in ("ClientId", "ClientSecret", "RefreshToken"))
    return ClientCredentials if is_client else PasswordCredentials


def _check_fields(raw: Mapping[str, Any], struct: type[msgspec.Struct], whole: str) -> list[FieldError]:
    """The fields of *raw* that a *struct* cannot hold; null is the same as missing where a field may be missing."""
    known = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    errors = [FieldError(f"{whole}.{name}", "is not a known field") for name in raw if name not in known]
    for name, field in known.items():
        if name not in raw and field.required:
            errors.append(FieldError(f"{whole}.{name}", "is required"))
        if raw.get(name) is None and (name not in raw or not field.required):
            continue
        try:
            msgspec.convert(raw[name], field.type)
        except msgspec.ValidationError as error:
            errors.append(FieldError(*_worded(str(error), f"{whole}.{name}")))
    return errors


def _worded(said: str, place: str) -> tuple[str, str]:
    """The place, as deep as msgspec tells it, and what is wrong there in words."""
    text, _, path = said.partition(" - at `$")
    if missing := re.fullmatch(r"Object (missing required|contains unknown) field `(.+)`", text):
        is_missing = missing[1] == "missing required"
        return f"{place}.{missing[2]}", "is required" if is_missing else "is not a known field"
    words = {
        r"Expected `str` of length >= 1": "must not be empty",
        r"Expected `str` of length <= (\d+)": r"must have at most \1 characters",
        r"Expected `str` matching regex .*": "has a form that is not allowed",
        r"Expected `int` >= (\d+)": r"must be at least \1",
        r"Expected `int` <= (\d+)": r"must be at most \1",
        r"Invalid enum value .*": 'must be "as-is", "email" or {"Query": "$/…", "Prompt": "…"}',
        r"Expected `str \| object`.*": 'must be "as-is", "email" or {"Query": "$/…", "Prompt": "…"}',
        r"Expected `str.*": "must be a string",
        r"Expected `int.*": "must be a whole number",
    }
    for pattern, replacement in words.items():
        if match := re.fullmatch(pattern, text):
            return place + path.removesuffix("`"), match.expand(replacement)
    return place, text


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # The last two come from a name that is a folder or a file of another kind among the time zones.
        return False
    return True


def _judge_base_url(base_url: str, guard: Guard | None) -> str | None:
    if guard is not None and (objection := guard.judge_url(base_url)):
        return objection
    try:
        parts = urlsplit(base_url)
        is_well_formed = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        is_well_formed = False
    if not is_well_formed:
        return "must be an address such as https://members.example.org"
    if parts.query:
        return "must be without a part after ?"
    if re.search(r"/(token|api)/?$", parts.path, re.IGNORECASE):
        return "must be what stands before /token and /api"
    return None
