"""Programs under measurement, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY = "bench-admin-key-0123456789"


class Running:
    """A program that serves at *address*."""

    def __init__(self, address: str) -> None:
        self.address = address


@contextmanager
def hub(home: Path, *options: str) -> Iterator[Running]:
    """A hub with its own PostgreSQL under *home*."""
    environment = {
        "LEARNING_HUB_HOME": str(home),
        "LEARNING_HUB_ADMIN_KEY": KEY,
        "LEARNING_HUB_LOG_LEVEL": "warning",
        "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
    }
    with _running(["serve", "--port", "0", "--json", *options], environment) as running:
        yield running


@contextmanager
def sandbox() -> Iterator[Running]:
    """A sandbox iMIS; user and password are both `sandbox`."""
    with _running(["sandbox-imis", "--json"], {}) as running:
        yield running


@contextmanager
def _running(arguments: list[str], environment: dict[str, str]) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "learning_hub", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Running(str(json.loads(process.stdout.readline())["Address"]))
    finally:
        process.terminate()
        process.wait(30)
