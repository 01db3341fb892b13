"""The hub's commands, as real processes and within the process of a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias
from unittest.mock import patch

from click.testing import CliRunner, Result
from forked_program import ForkedProgram
from plain_http import plain_client

from learning_hub.cli.root import learning_hub

# The longest that a command runs: with initdb, a recovery after a crash and waits of a test on a busy machine.
LIMIT_SECONDS = 180

Process: TypeAlias = subprocess.Popen[str] | ForkedProgram
Start = Callable[..., Process]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of this test run with these settings of the hub, named without their prefix, and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEARNING_HUB_", "HUB_"))}
    return kept | {f"LEARNING_HUB_{name}": value for name, value in settings.items()}


def command(
    *arguments: str, settings: Mapping[str, str], stdin: str | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a command answers that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "learning_hub", *arguments],
        env=environment(settings) | dict(more or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def quick_command(
    *arguments: str, settings: Mapping[str, str], stdin: str | None = None, more: Mapping[str, str] | None = None
) -> Result:
    """What a command answers, within this process, whose logging it leaves as it is: for tests of what it does."""
    set_here = environment(settings) | dict(more or {})
    cleared: dict[str, str | None] = {name: None for name in os.environ if name not in set_here}
    keep_logging = patch("learning_hub.cli.startup.configure_logging", lambda *_: None)
    with keep_logging, ThreadPoolExecutor(max_workers=1) as pool:
        # In a thread of its own, which has no event loop yet.
        return pool.submit(
            CliRunner().invoke, learning_hub, arguments, env=cleared | set_here, input=stdin, catch_exceptions=False
        ).result()


class Program:
    """A command that runs until it is stopped."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self._log = log

    def line(self) -> str:
        """Its next line on stdout; empty when it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT_SECONDS)

    @property
    def log(self) -> str:
        """What it wrote to stderr until now."""
        return self._log.read_text(encoding="utf-8")


def anew(arguments: Sequence[str], environment: Mapping[str, str], stderr: IO[str]) -> subprocess.Popen[str]:
    """A command in a Python of its own, as a person starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "learning_hub", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # Where the tests run in the background SIGINT is ignored, and a child would inherit that.
        preexec_fn=_heed_sigint,  # noqa: PLW1509 - nothing but this happens in it
    )


def _heed_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(*arguments: str, settings: Mapping[str, str], log: Path, start: Start = ForkedProgram) -> Iterator[Program]:
    """A command that runs, at the longest until the end of the block."""
    with log.open("w", encoding="utf-8") as stderr:
        process = start(arguments, environment(settings), stderr)
        timer = threading.Timer(LIMIT_SECONDS, process.kill)
        timer.start()
        try:
            yield Program(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
            timer.cancel()
            assert process.stdout
            process.stdout.close()


class Served(Program):
    """A hub that is served; *client* calls it with *key*."""

    def __init__(self, program: Program, key: str) -> None:
        super().__init__(program.process, program._log)
        announced = program.line()
        assert announced, f"it ended before it served; the log:\n{program.log}"
        self.announced: dict[str, Any] = json.loads(announced)
        self.address = str(self.announced["Address"])
        self.client = plain_client(self.address, headers={b"X-API-Key": key.encode()}, seconds=LIMIT_SECONDS)


@contextmanager
def served(*arguments: str, settings: Mapping[str, str], log: Path, start: Start = ForkedProgram) -> Iterator[Served]:
    """`learning-hub serve` on a free port."""
    with started("serve", "--port", "0", "--json", *arguments, settings=settings, log=log, start=start) as program:
        hub = Served(program, settings.get("ADMIN_KEY", ""))
        with hub.client:
            yield hub
