"""A hub that delivers to a sandbox iMIS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from imis_hub import ImisHub
from msgspec.structs import replace
from running import RunningHub

from learning_hub.sandbox import RunningSandbox, running_sandbox
from learning_hub.settings import Settings


@pytest.fixture
def imis() -> Iterator[RunningSandbox]:
    """A sandbox iMIS of this test's own."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Retries that a test can wait for."""
    return replace(settings, retry_seconds=(0.1, 0.1, 0.2), settle_seconds=0.3, send_timeout_seconds=2)


@pytest.fixture
def imis_hub(hub: RunningHub, imis: RunningSandbox) -> ImisHub:
    """A hub and an iMIS; `set_up` makes one deliver to the other."""
    return ImisHub(hub, imis)
