"""The start of a command: read the settings once, and set up logging as they say."""

from __future__ import annotations

import logging

from learning_hub.logs import configure_logging
from learning_hub.settings import Settings, read_settings


def begin_service() -> Settings:
    """The settings of a long-running program; logging is set up as they say."""
    settings = _valid_settings()
    configure_logging(settings.log_format, settings.log_level)
    return settings


def begin_command() -> Settings:
    """The settings of a command that ends by itself; it logs only failures of the hub itself, and what it waits for."""
    settings = _valid_settings()
    configure_logging(settings.log_format, "critical")
    logging.getLogger("learning_hub.store.start_waiting").setLevel(logging.WARNING)
    return settings


def _valid_settings() -> Settings:
    """The settings, including those that a part validates, so that errors are reported before anything starts."""
    from learning_hub.main import guard_of

    settings = read_settings()
    guard_of(settings)
    return settings
