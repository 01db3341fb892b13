"""
The only reader of the environment: from variables to one frozen Settings.

settings.example.env explains each of them; a test compares the two.
"""

from __future__ import annotations

import math
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

# The largest number of HTTP exchanges that any connector makes in one attempt.
EXCHANGES_PER_ATTEMPT = 13

HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY
MOST_BYTES = 64 * 1024 * 1024


class SettingsError(Exception):
    """A setting is wrong; the sentence names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Times are in seconds, sizes in bytes."""

    database_url: str | None = None
    home: Path = Path(".learning-hub")
    admin_key: str | None = None
    secret_keys: tuple[str, ...] = ()
    allowed_private_targets: tuple[str, ...] = ()
    retry_seconds: tuple[float, ...] = (5, 30, 120, 600, 3600, 21600, 86400)
    send_timeout_seconds: float = 30
    settle_seconds: float = 10
    restored_days: float = 30
    probe_seconds: float = 5
    pause_alarm_seconds: float = 900
    participant_remembered_seconds: float = 3600
    run_wait_seconds: float = 25
    panel_prefix: str = "lh_"
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
        How long a worker may take for one attempt: longer than all its timeouts, including sign-in and lookups.

        An attempt is ended after nine tenths of this time, which is longer than `EXCHANGES_PER_ATTEMPT` timeouts.
        """
        return 1.2 * EXCHANGES_PER_ATTEMPT * self.send_timeout_seconds + 30


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """
    Settings from *environment*; an empty variable counts as unset.

    Raises:
        SettingsError: A setting is unknown or wrong.
    """
    given = {
        name.removeprefix(PREFIX): value.strip()
        for name, value in environment.items()
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_") and value.strip()
    }
    # Names of environment variables are case-sensitive, so a setting in lower case is another variable.
    if unknown := sorted(set(given) - {name.upper() for name in _READERS}):
        names = ", ".join(PREFIX + name for name in unknown)
        raise SettingsError(f"Not a setting of the hub: {names}. settings.example.env lists them.")
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name.lower()] = _READERS[name.lower()](text)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}{name}: {error}") from None
    settings = Settings(**values)
    if "max_data_bytes" in values and settings.max_data_bytes > settings.max_body_bytes:
        raise SettingsError(
            f"{PREFIX}MAX_DATA_BYTES: must not be more than {PREFIX}MAX_BODY_BYTES, which is {settings.max_body_bytes}"
        )
    return settings


def _number(unit: str, least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"must be a number of {unit} from {least:g} to {most:.0f}, not {text!r}")
        return value

    return read


def _seconds(most: float, least: float = 0) -> Callable[[str], float]:
    return _number("seconds", least, most)


def _whole(unit: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        is_whole = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not is_whole or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number of {unit} from {least} to {most}, not {text!r}")
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


def _targets(text: str) -> tuple[str, ...]:
    for item in _items(text):
        if re.fullmatch(r"([^:]+|\[.*\]):\d+", item):
            raise ValueError(f"must be hosts, addresses or networks without a port, not {item!r}")
    return _items(text)


def _database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    if not _is_address(text):
        # The message quotes nothing: the text taken for a port may be half of a password.
        raise ValueError(
            "must be as postgresql://user:password@host:5432/database; within user and password, write / as %2F, "
            "@ as %40, ? as %3F, # as %23, [ as %5B"
        )
    return text


def _is_address(text: str) -> bool:
    """Whether the driver can parse an address, and into the intended parts."""
    try:
        parts = urlsplit(text)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    is_plain = not parts.fragment and "@" not in user + parts.path
    return is_plain and all(_HOST.fullmatch(host) for host in hosts.split(","))


def _panel_prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,19}", text):
        raise ValueError(f"must begin with a letter and have letters, digits and _ only, at most 20, not {text!r}")
    return text


def _admin_key(text: str) -> str:
    if len(text) < 20 or len(set(text)) < 8:
        raise ValueError("must have 20 or more characters, of which at least 8 differ")
    return text


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = _items(text)
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = ()
    if not keys:
        raise ValueError("must be Fernet keys (32 bytes, url-safe base64), separated by commas")
    return keys


def _retry_seconds(text: str) -> tuple[float, ...]:
    steps = tuple(_seconds(YEAR)(item) for item in _items(text))
    if not steps:
        raise ValueError("must be numbers of seconds, separated by commas")
    return steps


_READERS: dict[str, Callable[[str], Any]] = {
    "database_url": _database_url,
    "home": lambda text: Path(text).expanduser(),
    "admin_key": _admin_key,
    "secret_keys": _secret_keys,
    "allowed_private_targets": _targets,
    "retry_seconds": _retry_seconds,
    "send_timeout_seconds": _seconds(HOUR, least=0.1),
    "settle_seconds": _seconds(DAY),
    "restored_days": _number("days", 0, 36500),
    "probe_seconds": _seconds(HOUR, least=0.1),
    "pause_alarm_seconds": _seconds(YEAR),
    "participant_remembered_seconds": _seconds(YEAR),
    "run_wait_seconds": _seconds(HOUR),
    "panel_prefix": _panel_prefix,
    "rate_limit": _number("requests a second", 0.001, 1_000_000),
    "max_body_bytes": _whole("bytes", 1024, MOST_BYTES),
    "max_data_bytes": _whole("bytes", 1024, MOST_BYTES),
    "max_connections": _whole("connections", 5, 1000),
    "render_processes": _whole("processes", 1, 64),
    "log_format": _one_of("text", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
}
