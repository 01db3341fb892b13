"""
The only reader of the environment: from variables to one frozen Settings.

settings.example.env explains each of them; a test holds the two together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.fernet import Fernet

PREFIX = "LEARNING_HUB_"
# A name, an address, an IPv6 address in brackets or nothing, and perhaps a port.
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%]*\]|[^\[\]:]*)(?::[0-9]{1,5})?")

# As many HTTP exchanges as any connector makes of one try at a delivery.
EXCHANGES_IN_A_TRY = 12


class SettingsError(Exception):
    """A setting is wrong; the sentence names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is set from outside. Times are in seconds, sizes in bytes."""

    database_url: str | None = None
    home: Path = Path(".learning-hub")
    admin_key: str | None = None
    secret_keys: tuple[str, ...] = ()
    allowed_private_targets: tuple[str, ...] = ()
    retry_seconds: tuple[float, ...] = (5, 30, 120, 600, 3600, 21600, 86400)
    send_timeout_seconds: float = 30
    settle_seconds: float = 10
    probe_seconds: float = 5
    participant_remembered_seconds: float = 3600
    run_wait_seconds: float = 25
    rate_limit: float | None = None
    max_body_bytes: int = 1024 * 1024
    max_data_bytes: int = 256 * 1024
    max_connections: int = 20
    render_processes: int = 2
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def lease_seconds(self) -> float:
        """
        How long a worker may take over one try: beyond all time-outs within it, sign-in and look-ups included.

        A try is ended after nine tenths of it, which is more than `EXCHANGES_IN_A_TRY` that all take their whole time.
        """
        return 1.2 * EXCHANGES_IN_A_TRY * self.send_timeout_seconds + 30


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """
    Settings from *environment*; an empty variable counts as unset.

    Raises:
        SettingsError: One is unknown or wrong.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value.strip()
        for name, value in environment.items()
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_") and value.strip()
    }
    if unknown := sorted(set(given) - set(_READERS)):
        names = ", ".join(PREFIX + name.upper() for name in unknown)
        raise SettingsError(f"Not a setting of the hub: {names}. settings.example.env lists them.")
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = _READERS[name](text)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}{name.upper()}: {error}") from None
    return Settings(**values)


def _seconds(least: float = 0.0) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"must be a number of seconds, not {text!r}") from None
        if not least <= value < float("inf"):
            raise ValueError(f"must be {least:g} or more, not {text!r}")
        return value

    return read


def _whole(least: int, unit: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ValueError(f"must be a whole number of {unit}, {least} or more, not {text!r}")
        return int(text)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {text!r}")
        return text.lower()

    return read


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    if not _is_address(text):
        # Not a word of it: what was taken for a port may be half of a password.
        raise ValueError(
            "must be as postgresql://user:password@host:5432/database; within user and password, write / as %2F, "
            "@ as %40, ? as %3F, # as %23, [ as %5B"
        )
    return text


def _is_address(text: str) -> bool:
    """Whether the driver can take an address apart, and into the parts that were meant."""
    try:
        parts = urlsplit(text)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    is_plain = not parts.fragment and "@" not in user + parts.path
    return is_plain and all(_HOST.fullmatch(host) for host in hosts.split(","))


def _admin_key(text: str) -> str:
    if len(text) < 20:
        raise ValueError("must have 20 or more characters")
    return text


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = _items(text)
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            raise ValueError("must be Fernet keys (32 bytes, url-safe base64), separated by commas") from None
    return keys


def _retry_seconds(text: str) -> tuple[float, ...]:
    steps = tuple(_seconds()(item) for item in _items(text))
    if not steps:
        raise ValueError("must be numbers of seconds, separated by commas")
    return steps


def _rate_limit(text: str) -> float:
    value = _seconds()(text)
    if value <= 0:
        raise ValueError("must be more than 0 requests a second; leave it unset for no limit")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "database_url": _database_url,
    "home": lambda text: Path(text).expanduser(),
    "admin_key": _admin_key,
    "secret_keys": _secret_keys,
    "allowed_private_targets": _items,
    "retry_seconds": _retry_seconds,
    "send_timeout_seconds": _seconds(0.1),
    "settle_seconds": _seconds(),
    "probe_seconds": _seconds(0.1),
    "participant_remembered_seconds": _seconds(),
    "run_wait_seconds": _seconds(),
    "rate_limit": _rate_limit,
    "max_body_bytes": _whole(1024, "bytes"),
    "max_data_bytes": _whole(1024, "bytes"),
    "max_connections": _whole(5, "connections"),
    "render_processes": _whole(1, "processes"),
    "log_format": _one_of("text", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
}
