"""The measured programs, each in a process of its own."""

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
    """A program that serves at *address*, in the process *pid*."""

    def __init__(self, address: str, pid: int) -> None:
        self.address = address
        self.pid = pid


@contextmanager
def hub(
    database_url: str, *options: str, module: str = "learning_hub", checkout: Path | None = None
) -> Iterator[Running]:
    """
    A hub on a database, started with `serve` and *options*.

    *module* is the module to run; *checkout* the folder of another version to run, with the same packages.
    """
    environment = {
        "LEARNING_HUB_DATABASE_URL": database_url,
        "LEARNING_HUB_ADMIN_KEY": KEY,
        "LEARNING_HUB_LOG_LEVEL": "warning",
        "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
    }
    with _running(module, ["serve", "--port", "0", "--json", *options], environment, checkout) as running:
        yield running


@contextmanager
def sandbox() -> Iterator[Running]:
    """A sandbox iMIS; user and password are both `sandbox`."""
    with _running("learning_hub", ["sandbox-imis", "--json"], {}) as running:
        yield running


@contextmanager
def _running(
    module: str, arguments: list[str], environment: dict[str, str], folder: Path | None = None
) -> Iterator[Running]:
    # Python imports from the folder it is started in before any other.
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    try:
        yield Running(str(json.loads(process.stdout.readline())["Address"]), process.pid)
    finally:
        process.terminate()
        try:
            # It finishes what it has begun, for as long as a request to a subscriber may take.
            process.wait(60 if folder is None else 10)
        except subprocess.TimeoutExpired:
            process.kill()
            if folder is None:
                raise
