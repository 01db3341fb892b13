"""How to reach one webhook: the Settings and Credentials of a subscriber, and the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.settings_checks import address_fault, check_time_zone
from learning_hub.connectors.webhook.echoes import masked_address
from learning_hub.connectors.webhook.signing import secret_fault
from learning_hub.model.errors import FieldError
from learning_hub.model.fields import check_values, from_values
from learning_hub.model.json_errors import place_in

MOST_HEADERS = 50
# Headers that the hub sets itself, and those of the connection.
RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type",
        "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
RESERVED_BEGINNINGS = ("webhook-", "learning-hub-")
# RFC 9110, sections 5.1 and 5.5; values are ASCII only, which every receiver reads in the same way.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~]([\t -~]{0,3998}[!-~])?|")


class WebhookSettings(msgspec.Struct, frozen=True, rename="pascal"):
    """The receiver."""

    url: Annotated[str, Meta(min_length=1, max_length=2000, description="Where to post; https, with any query.")]
    headers: Annotated[
        dict[str, Any],
        Meta(
            max_length=MOST_HEADERS,
            description="Headers sent with every request besides the hub's own. Values are not shown; null keeps one.",
        ),
    ] = {}
    time_zone: Annotated[
        str, Meta(min_length=1, max_length=400, description="The IANA zone in which `imis_datetime` writes dates.")
    ] = "UTC"
    max_concurrency: Annotated[
        int, Meta(ge=1, le=100, description="How many deliveries may be in progress at the same time.")
    ] = 8


class WebhookCredentials(msgspec.Struct, frozen=True, rename="pascal"):
    """The secret that signs requests, and the bearer token that they carry, if any."""

    signing_secret: (
        Annotated[
            str,
            Meta(min_length=1, max_length=400, description="Signs requests: `whsec_` and 24 to 64 bytes in Base64."),
        ]
        | None
    ) = None
    token: (
        Annotated[str, Meta(pattern=r"^[!-~]+$", max_length=10_000, description="Sent as `Authorization: Bearer …`.")]
        | None
    ) = None


class WebhookTarget(msgspec.Struct, frozen=True, rename="pascal"):
    """The receiver accepts any JSON object."""

    kind: Annotated[Literal["post"], Meta(description="A webhook has one kind of target.")]


def read_settings(settings: Mapping[str, Any]) -> WebhookSettings:
    """The settings, valid by `check_settings`."""
    return from_values(settings, WebhookSettings)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.Headers.X-Tenant`); a *guard* checks the address as well."""
    errors = check_values(settings, WebhookSettings, "Settings")
    check_time_zone(settings, errors)
    bad = {error.field for error in errors}
    if "Settings.Url" not in bad:
        objection = address_fault(settings["Url"], guard, "https://hooks.example.org/learning")
        errors += [FieldError("Settings.Url", objection)] if objection else []
    if "Settings.Headers" not in bad:
        errors += _check_headers(settings.get("Headers") or {})
    return errors


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be shown: the value of each header is null."""
    headers = settings.get("Headers")
    return {**settings, "Headers": dict.fromkeys(headers)} if isinstance(headers, dict) else dict(settings)


def masked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As `shown_settings`, without what may be secret in the address."""
    return {**shown_settings(settings), "Url": masked_address(settings["Url"])}


def kept_settings(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were *sent*, with the *stored* value of each header that was sent as null."""
    headers = sent.get("Headers")
    if not isinstance(headers, dict):
        return dict(sent)
    known = {name.lower(): value for name, value in (stored.get("Headers") or {}).items()}
    return {
        **sent,
        "Headers": {name: known.get(name.lower()) if value is None else value for name, value in headers.items()},
    }


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.SigningSecret`); no message repeats what was sent."""
    messages = {"Token": "must be 1 to 10000 visible ASCII characters, without blanks"}
    errors = check_values(credentials, WebhookCredentials, "Credentials", messages)
    secret = credentials.get("SigningSecret")
    if secret is not None and not any(error.field == "Credentials.SigningSecret" for error in errors):
        fault = secret_fault(secret)
        errors += [FieldError("Credentials.SigningSecret", fault)] if fault else []
    return errors


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.Kind`)."""
    errors = check_values({**target, "Kind": "post"}, WebhookTarget, "Target")
    if target.get("Kind") != "post":
        errors.insert(0, FieldError("Target.Kind", "must be post for a subscriber of the kind webhook"))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The zone in which templates write dates without an offset."""
    return read_settings(settings).time_zone


def max_concurrency(settings: Mapping[str, Any]) -> int:
    """How many deliveries may be in progress at the same time."""
    return read_settings(settings).max_concurrency


def _check_headers(headers: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for name, value in headers.items():
        place, lower = place_in("Settings.Headers", name), name.lower()
        if not _HEADER_NAME.fullmatch(name):
            errors.append(FieldError(place, "is not a valid header name"))
        elif lower in RESERVED_HEADERS or lower.startswith(RESERVED_BEGINNINGS):
            errors.append(FieldError(place, "is a header that the hub sets itself"))
        elif lower in seen:
            errors.append(FieldError(place, "is there twice, in another case"))
        if value is None:
            errors.append(FieldError(place, "must be a string: no value is stored that null could keep"))
        elif not isinstance(value, str):
            errors.append(FieldError(place, "must be a string"))
        elif not _HEADER_VALUE.fullmatch(value):
            errors.append(
                FieldError(place, "must be up to 4000 ASCII characters on one line, without blanks around them")
            )
        seen.add(lower)
    return errors
