"""How a command begins: settings are read once, and logging is set up by them."""

from __future__ import annotations

from learning_hub.logs import configure_logging
from learning_hub.settings import Settings, read_settings


def begin_service() -> Settings:
    """The settings of a program that runs for long, logging as they say."""
    settings = _valid_settings()
    configure_logging(settings.log_format, settings.log_level)
    return settings


def begin_command() -> Settings:
    """The settings of a command that answers and ends; it logs nothing but what went wrong within the hub."""
    settings = _valid_settings()
    configure_logging(settings.log_format, "critical")
    return settings


def _valid_settings() -> Settings:
    """The settings, also those whose rules are a part's own: what is wrong is told before anything starts."""
    from learning_hub.main import guard_of

    settings = read_settings()
    guard_of(settings)
    return settings
