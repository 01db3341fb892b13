"""How to reach one LearningBuilder: the Settings and Credentials of a subscriber, the Target of a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.settings_checks import address_fault, check_time_zone
from learning_hub.model.errors import FieldError
from learning_hub.model.fields import check_values, from_values

# As the hub's contract says, section 7.
MOST_IN_BATCH = 500
# Far below the default limit of IIS (maxAllowedContentLength: 30,000,000 bytes).
MOST_BYTES_IN_BATCH = 4 * 1024 * 1024
# One address, which LearningBuilder writes to: no list, and nothing that could be read as another mail header.
Email = Annotated[str, Meta(pattern=r'^[^\s@,;<>"]+@[^\s@,;<>"]+$', max_length=254)]


class LearningBuilderSettings(msgspec.Struct, frozen=True, rename="pascal"):
    """The LearningBuilder instance."""

    base_url: Annotated[
        str, Meta(min_length=1, max_length=400, description="Everything before `/API`, with any path it has.")
    ]
    success_email: (
        Annotated[Email, Meta(description="Whom LearningBuilder notifies of an import that succeeded.")] | None
    ) = None
    failure_email: (
        Annotated[Email, Meta(description="Whom LearningBuilder notifies of records that it could not import.")] | None
    ) = None
    time_zone: Annotated[
        str, Meta(min_length=1, max_length=400, description="The IANA zone in which `imis_datetime` writes dates.")
    ] = "UTC"


class LearningBuilderCredentials(msgspec.Struct, frozen=True, rename="pascal"):
    """An API key that may start imports."""

    api_key: Annotated[
        str,
        Meta(
            pattern=r"^[!-~]([ -~]*[!-~])?$",
            max_length=10_000,
            description="An API key with LearningBuilder's permission `BeginWorkflowImportProcess`.",
        ),
    ]


class LearningBuilderTarget(msgspec.Struct, frozen=True, rename="pascal"):
    """The import process that imports the rows."""

    kind: Annotated[Literal["import"], Meta(description="LearningBuilder has one kind of target.")]
    import_process_id: Annotated[
        Annotated[str, Meta(pattern=r"^\S(.*\S)?$", max_length=100)] | Annotated[int, Meta(ge=0)],
        Meta(description="The id of an import process of LearningBuilder."),
    ]


def read_settings(settings: Mapping[str, Any]) -> LearningBuilderSettings:
    """The settings, valid by `check_settings`."""
    read = from_values(settings, LearningBuilderSettings)
    return msgspec.structs.replace(read, base_url=read.base_url.rstrip("/"))


def read_credentials(credentials: Mapping[str, Any]) -> LearningBuilderCredentials:
    """The credentials, valid by `check_credentials`."""
    return from_values(credentials, LearningBuilderCredentials)


def read_target(target: Mapping[str, Any]) -> LearningBuilderTarget:
    """A target, valid by `check_target`."""
    return from_values(target, LearningBuilderTarget)


def check_settings(settings: Mapping[str, Any], guard: Guard | None = None) -> list[FieldError]:
    """Every bad field (`Settings.SuccessEmail`); a *guard* checks the address as well."""
    email = "must be one e-mail address"
    errors = check_values(settings, LearningBuilderSettings, "Settings", {"SuccessEmail": email, "FailureEmail": email})
    check_time_zone(settings, errors)
    if not any(error.field == "Settings.BaseUrl" for error in errors):
        objection = _base_url_fault(settings["BaseUrl"], guard)
        errors += [FieldError("Settings.BaseUrl", objection)] if objection else []
    return errors


def check_credentials(credentials: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Credentials.ApiKey`); no message repeats what was sent."""
    messages = {"ApiKey": "must be 1 to 10000 ASCII characters on one line"}
    return check_values(credentials, LearningBuilderCredentials, "Credentials", messages)


def check_target(target: Mapping[str, Any]) -> list[FieldError]:
    """Every bad field (`Target.ImportProcessId`)."""
    messages = {"ImportProcessId": "must be the id of an import process of LearningBuilder, a string or an integer"}
    errors = check_values({**target, "Kind": "import"}, LearningBuilderTarget, "Target", messages)
    if target.get("Kind") != "import":
        errors.insert(0, FieldError("Target.Kind", "must be import for a subscriber of the kind learningbuilder"))
    return errors


def time_zone(settings: Mapping[str, Any]) -> str:
    """The zone in which templates write dates without an offset."""
    return read_settings(settings).time_zone


def max_concurrency(settings: Mapping[str, Any]) -> int:  # noqa: ARG001 - all kinds have the same signature.
    """As many as fit into a batch; batches are sent one after the other."""
    return MOST_IN_BATCH


def _base_url_fault(base_url: str, guard: Guard | None) -> str | None:
    if objection := address_fault(base_url, guard, "https://members.example.org"):
        return objection
    parts = urlsplit(base_url)
    if parts.query:
        return "must be without a part after ?"
    if re.search(r"/API(/.*)?$", parts.path, re.IGNORECASE):
        return "must be what stands before /API"
    return None
