"""Settings of commands, most of which run within the process of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from learning_hub.sandbox import RunningSandbox, running_sandbox


@pytest.fixture
def settings(tmp_path: Path, database_address: str) -> dict[str, str]:
    """Settings of the commands, by the names of their variables."""
    return {
        "HOME": str(tmp_path / "home"),
        "DATABASE_URL": database_address,
        "SECRET_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
    }


@pytest.fixture
def imis() -> Iterator[RunningSandbox]:
    """A sandbox iMIS in a thread of its own: the tests here run no loop while they wait for a command."""
    with running_sandbox() as running:
        yield running
