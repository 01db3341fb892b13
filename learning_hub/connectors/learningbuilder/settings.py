"""How to reach one LearningBuilder: the Settings and Credentials of a subscriber, the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.declared import address_fault, check_fields, check_time_zone, read_fields
from learning_hub.model.errors import FieldError

# As the hub's contract says, section 7.
MOST_IN_BATCH = 500
# Far below what IIS takes unless told otherwise (maxAllowedContentLength: 30,000,000 bytes).
MOST_BYTES_IN_BATCH = 4 * 1024 * 1024
# One address, which LearningBuilder writes to: nothing that could be read as a list or as a header of its own.
Email = Annotated[str, Meta(pattern=r"^[^\s@,;<>\"]+@[^\s@,;<>\"]+$", max_length=254)]


class Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """
    The instance.

    *base_url* is everything before `/API`, with any path it has. The addresses are told by LearningBuilder itself what
    became of an import. *time_zone* is the one in which templates write dates without an offset (`imis_datetime`).
    """

    base_url: Annotated[str, Meta(min_length=1, max_length=400)]
    success_email: Email | None = None
    failure_email: Email | None = None
    time_zone: Annotated[str, Meta(min_length=1, max_length=400)] = "UTC"


class Credentials(msgspec.Struct, frozen=True, rename="pascal"):
    """A key that may begin imports (LearningBuilder's permission BeginWorkflowImportProcess)."""

    api_key: Annotated[str, Meta(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=10_000)]


class Target(msgspec.Struct, frozen=True, rename="pascal"):
    """The import process that takes the lines."""

    kind: Literal["import"]
    import_process_id: Annotated[str, Meta(pattern=r"^\S(.*\S)?$", max_length=100)] | Annotated[int, Meta(ge=0)]


def read_settings(settings: Mapping[str, Any]) -> Settings:
    """Settings that `check_settings` found right."""
    read = read_fields(settings, Settings)
    return msgspec.structs.replace(read, base_url=read.base_url.rstrip("/"))


def read_credentials(credentials: Mapping[str, Any]) -> Credentials:
    """Credentials that `check_credentials` found right."""
    return read_fields(credentials, Credentials)


def read_target(target: Mapping[str, Any]) -> Target:
    """A target that `check_target` found right."""
    return read_fields(target, Target)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.SuccessEmail`); with a *guard* the target is judged as well."""
    email = "must be one e-mail address"
    errors = check_fields(settings, Settings, "Settings", {"SuccessEmail": email, "FailureEmail": email})
    check_time_zone(settings, errors)
    if not any(error.field == "Settings.BaseUrl" for error in errors):
        objection = _judge_base_url(settings["BaseUrl"], guard)
        errors += [FieldError("Settings.BaseUrl", objection)] if objection else []
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.ApiKey`); no message repeats what was sent."""
    words = {"ApiKey": "must be 1 to 10000 ASCII characters on one line"}
    required = credentials.get("ApiKey") is None
    return check_fields(credentials, Credentials, "Credentials", {} if required else words)


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.ImportProcessId`)."""
    words = {"ImportProcessId": "must be the id of an import process of LearningBuilder, a string or a whole number"}
    errors = check_fields({**target, "Kind": "import"}, Target, "Target", words)
    if target.get("Kind") != "import":
        errors.insert(0, FieldError("Target.Kind", "must be import for a subscriber of the kind learningbuilder"))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The zone in which templates write dates without an offset."""
    return read_settings(settings).time_zone


def max_concurrency(settings: Mapping[str, Any]) -> int:  # noqa: ARG001 - all kinds are asked alike.
    """As many as go into a batch; the batches themselves follow each other."""
    return MOST_IN_BATCH


def _judge_base_url(base_url: str, guard: Guard | None) -> str | None:
    if objection := address_fault(base_url, guard, "https://members.example.org"):
        return objection
    parts = urlsplit(base_url)
    if parts.query:
        return "must be without a part after ?"
    if re.search(r"/API(/.*)?$", parts.path, re.IGNORECASE):
        return "must be what stands before /API"
    return None
