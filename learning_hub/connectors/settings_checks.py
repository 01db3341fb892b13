"""Checks of Settings that all kinds of subscribers share: the time zone and the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from learning_hub.connectors.addresses import Guard
from learning_hub.model.cron import time_zone_fault
from learning_hub.model.errors import FieldError


def check_time_zone(settings: Mapping[str, Any], errors: list[FieldError]) -> None:
    """Add what is wrong with `Settings.TimeZone`, unless *errors* has it already."""
    name = settings.get("TimeZone")
    if name is None or any(error.field == "Settings.TimeZone" for error in errors):
        return
    if fault := time_zone_fault(name):
        errors.append(FieldError("Settings.TimeZone", fault))


def address_fault(address: str, guard: Guard | None, example: str) -> str | None:
    """What is wrong with the *address* of a subscriber; *example* is a valid one, and *guard* checks the target."""
    if guard is not None and (objection := guard.check_url(address)):
        return objection
    try:
        parts = urlsplit(address)
        is_well_formed = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        is_well_formed = False
    return None if is_well_formed else f"must be an address such as {example}"
