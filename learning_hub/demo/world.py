"""The two programs of the demo, on free ports of 127.0.0.1: a sandbox iMIS, and a hub with a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from learning_hub.demo.failures import DemoFailedError

START_SECONDS = 60
STOP_SECONDS = 10
PREFIX = "LEARNING_HUB_"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of the two programs, and their credentials."""

    hub_address: str
    admin_key: str
    imis_address: str
    imis_username: str
    imis_password: str
    programs: tuple[subprocess.Popen[str], ...]

    def ended(self) -> bool:
        """Whether one of the programs has ended by itself."""
        return any(program.poll() is not None for program in self.programs)


@contextmanager
def running_world() -> Iterator[World]:
    """
    Both programs, running; stopped at the end, with nothing left behind.

    Raises:
        DemoFailedError: One of them does not start; the sentence says why.
    """
    with _stopped_by_signals() as stop_listening, ExitStack() as stack:
        try:
            home = stack.enter_context(_temporary_home())
            imis, announcement = stack.enter_context(_program("The sandbox iMIS", home, {}, ["sandbox-imis", "--json"]))
            admin_key = secrets.token_urlsafe(24)
            settings = {
                "LEARNING_HUB_HOME": str(home),
                "LEARNING_HUB_ADMIN_KEY": admin_key,
                "LEARNING_HUB_ALLOWED_PRIVATE_TARGETS": "127.0.0.1",
            }
            hub, announced = stack.enter_context(
                _program("The hub", home, settings, ["serve", "--port", "0", "--json"])
            )
            yield World(
                hub_address=announced["Address"],
                admin_key=admin_key,
                imis_address=announcement["Address"],
                imis_username=announcement["Username"],
                imis_password=announcement["Password"],
                programs=(imis, hub),
            )
        finally:
            stop_listening()


@contextmanager
def _temporary_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="learning-hub-demo-"))
    try:
        yield home
    finally:
        _stop_database_left_behind(home)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _program(
    name: str, home: Path, settings: dict[str, str], arguments: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The program `learning-hub` with *arguments*, and the JSON line it prints once it can be called."""
    log = home / f"{arguments[0]}.log"
    # The user's own settings are for the user's own hub.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | settings
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "learning_hub", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            # Ctrl-C must reach only the demo, which stops the programs one after the other.
            start_new_session=True,
        )
    try:
        yield process, _announcement(name, process, log)
    finally:
        _stop(process)


def _announcement(name: str, process: subprocess.Popen[str], log: Path) -> dict[str, str]:
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 - it was asked for as a pipe
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=START_SECONDS)
    except queue.Empty:
        raise DemoFailedError(f"{name} did not start within {START_SECONDS} seconds. {_last_line(log)}") from None
    if not line:
        raise DemoFailedError(f"{name} did not start. {_last_line(log)}")
    announced: dict[str, str] = json.loads(line)
    return announced


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    return written[-1] if written else "It logged no reason."


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()


def _stop_database_left_behind(home: Path) -> None:
    """Stop the PostgreSQL of a hub that could not do so itself; its data are no longer needed."""
    pid_file = home / "postgres" / "postmaster.pid"
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text(encoding="utf-8").split()[0])
        os.kill(pid, signal.SIGQUIT)
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], None]]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does; the yielded function makes the demo ignore all of them."""
    numbers = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}

    def stop_listening() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    try:
        yield stop_listening
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
