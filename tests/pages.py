"""Pages of the documentation, followed as a person does: programs started, commands typed, and what they print."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START_SECONDS = 120
STEP_SECONDS = 120
DONE = "<<<done>>>"


class Step(NamedTuple):
    """A block of commands, and the lines that the page says they print; "…" stands for anything."""

    block: str
    promised: list[str]


class FollowedPage:
    """A page whose programs run, on *ports* in place of those it names; its commands go to one shell."""

    def __init__(self, text: str, ports: dict[str, str], shell: subprocess.Popen[str]) -> None:
        self._text = text
        self._shell = shell
        self.ports = ports

    @property
    def parts(self) -> list[str]:
        """Its headings of the second level, in their order."""
        return re.findall(r"^## (.+)$", BLOCK.sub("", self._text), re.MULTILINE)

    def follow(self, part: str) -> None:
        """Type the commands below the heading *part*; they succeed, and print what the page says they print."""
        for step in _steps(self._text.partition(f"\n## {part}\n")[2].partition("\n## ")[0]):
            printed = self._type(step.block)
            for line in step.promised:
                pieces = ".*".join(re.escape(piece) for piece in line.strip().split("…"))
                is_printed = re.search(rf"^\s*{pieces}\s*$", printed, re.MULTILINE | re.DOTALL)
                assert is_printed, f"{step.block}\nshould print\n{line}\nand printed\n{printed}"

    def _type(self, block: str) -> str:
        """What *block* prints."""
        assert self._shell.stdin
        assert self._shell.stdout
        # Commands must not read what is typed after them.
        self._shell.stdin.write(f"{{\n{block}\n}} </dev/null\necho; echo '{DONE}'\n")
        self._shell.stdin.flush()
        printed = ""
        timer = threading.Timer(STEP_SECONDS, self._shell.kill)
        timer.start()
        try:
            while (line := self._shell.stdout.readline()).rstrip() != DONE:
                assert line, f"{block}\nfailed, or took over {STEP_SECONDS} seconds, and printed\n{printed}"
                printed += line
        finally:
            timer.cancel()
        return printed


@contextmanager
def followed(page: Path, *, ports: tuple[str, ...], folder: str | None = None) -> Iterator[FollowedPage]:
    """
    *page* with its programs running.

    Args:
        page: Its blocks `sh background` are programs.
        ports: Those it names; free ones take their places.
        folder: That which it keeps its files in; another takes its place.
    """
    found = dict(zip(ports, _free_ports(len(ports)), strict=True))
    # PostgreSQL's socket is in it, so its name must be short.
    temporary = Path(tempfile.mkdtemp(prefix="page-"))
    places = found | ({folder: str(temporary / "page")} if folder else {})
    # In one pass: a free port may have a usual one within it.
    named = "|".join(re.escape(place) for place in places)
    text = re.sub(rf"(?<!\w)(?:{named})\b", lambda usual: places[usual[0]], page.read_text(encoding="utf-8"))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for _, kind, block in BLOCK.findall(text):
            if kind == "background":
                running.append(_program(block, temporary, temporary / f"{len(running)}.log"))
        for port in found.values():
            _wait_for(f"http://127.0.0.1:{port}/", running, temporary)
        with _shell(temporary) as shell:
            yield FollowedPage(text, found, shell)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)
        shutil.rmtree(temporary, ignore_errors=True)


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    for language, kind, block in BLOCK.findall(text):
        if language == "sh" and kind != "background":
            steps.append(Step(block, []))
        elif language == "text":
            steps[-1].promised.extend(block.splitlines())
    return steps


def _program(block: str, temporary: Path, log: Path) -> subprocess.Popen[bytes]:
    before, _, last = block.rpartition("\nlearning-hub")
    with log.open("wb") as stream:
        return subprocess.Popen(
            ["bash", "-eu", "-c", f"{before}\nexec learning-hub{last}"],
            cwd=ROOT,
            env=_environment(temporary),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def _shell(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        ["bash", "-eu"],
        cwd=ROOT,
        env=_environment(temporary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        try:
            yield shell
        finally:
            shell.kill()


def _environment(temporary: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEARNING_HUB_", "HUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "TMPDIR": str(temporary)}


def _wait_for(address: str, running: list[subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(address, timeout=60, trust_env=False)
        except httpx.TransportError:
            ended = [process.returncode for process in running if process.poll() is not None]
            said = "\n".join(log.read_text() for log in sorted(logs.glob("*.log")))
            assert not ended, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        else:
            return


def _free_ports(count: int) -> list[str]:
    """
    Free ports, to be bound some seconds later.

    Below those that the system gives to whoever asks for any, and other ones in each worker of pytest-xdist.
    """
    first = 20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[str] = []
    for port in random.sample(range(first, first + 1_000), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(str(port))
        if len(found) == count:
            break
    return found
