"""How to reach one webhook: the Settings and Credentials of a subscriber, and the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.declared import address_fault, check_fields, check_time_zone, read_fields
from learning_hub.connectors.webhook.signing import secret_fault
from learning_hub.model.errors import FieldError
from learning_hub.model.json_errors import place_in

MOST_HEADERS = 50
# What the hub says in its own name, and what belongs to the connection.
RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type",
        "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
RESERVED_BEGINNINGS = ("webhook-", "learning-hub-")
# RFC 9110, sections 5.1 and 5.5; values in ASCII alone, which every receiver reads alike.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~]([\t -~]{0,3998}[!-~])?|")


class Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """
    The receiver.

    *headers* go out with every request beside the hub's own. *time_zone* is the one in which templates write dates
    without an offset (`imis_datetime`).
    """

    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    headers: Annotated[dict[str, Any], Meta(max_length=MOST_HEADERS)] = {}
    time_zone: Annotated[str, Meta(min_length=1, max_length=400)] = "UTC"
    max_concurrency: Annotated[int, Meta(ge=1, le=100)] = 8


class Credentials(msgspec.Struct, frozen=True, rename="pascal"):
    """The secret that requests are signed with, and the bearer token that they carry, if any."""

    signing_secret: Annotated[str, Meta(min_length=1, max_length=400)] | None = None
    token: Annotated[str, Meta(pattern=r"^[!-~]+$", max_length=10_000)] | None = None


class Target(msgspec.Struct, frozen=True, rename="pascal"):
    kind: Literal["post"]


def read_settings(settings: Mapping[str, Any]) -> Settings:
    """Settings that `check_settings` found right."""
    return read_fields(settings, Settings)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.Headers.X-Tenant`); with a *guard* the target is judged as well."""
    errors = check_fields(settings, Settings, "Settings")
    check_time_zone(settings, errors)
    bad = {error.field for error in errors}
    if "Settings.Url" not in bad:
        objection = address_fault(settings["Url"], guard, "https://hooks.example.org/learning")
        errors += [FieldError("Settings.Url", objection)] if objection else []
    if "Settings.Headers" not in bad:
        errors += _check_headers(settings.get("Headers") or {})
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.SigningSecret`); no message repeats what was sent."""
    words = {"Token": "must be 1 to 10000 visible ASCII characters, without blanks"}
    errors = check_fields(credentials, Credentials, "Credentials", words)
    secret = credentials.get("SigningSecret")
    if secret is not None and not any(error.field == "Credentials.SigningSecret" for error in errors):
        fault = secret_fault(secret)
        errors += [FieldError("Credentials.SigningSecret", fault)] if fault else []
    return errors


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.Kind`)."""
    errors = check_fields({**target, "Kind": "post"}, Target, "Target")
    if target.get("Kind") != "post":
        errors.insert(0, FieldError("Target.Kind", "must be post for a subscriber of the kind webhook"))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The zone in which templates write dates without an offset."""
    return read_settings(settings).time_zone


def max_concurrency(settings: Mapping[str, Any]) -> int:
    """How many deliveries may be under way at once."""
    return read_settings(settings).max_concurrency


def _check_headers(headers: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for name, value in headers.items():
        place, lower = place_in("Settings.Headers", name), name.lower()
        if not _HEADER_NAME.fullmatch(name):
            errors.append(FieldError(place, "is no name of a header"))
        elif lower in RESERVED_HEADERS or lower.startswith(RESERVED_BEGINNINGS):
            errors.append(FieldError(place, "is a header that the hub sets itself"))
        elif lower in seen:
            errors.append(FieldError(place, "is there twice, in another case"))
        if not isinstance(value, str):
            errors.append(FieldError(place, "must be a string"))
        elif not _HEADER_VALUE.fullmatch(value):
            errors.append(
                FieldError(place, "must be up to 4000 ASCII characters on one line, without blanks around them")
            )
        seen.add(lower)
    return errors
