"""
Commands of the hub in processes that are forked from one that has imported the hub already.

Importing the hub takes a second of computing time, a fork a hundredth. This is for tests of what a command does. Tests
of its start, and those that do what documents say, start Python anew.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, TextIO

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["learning_hub.cli.root", "learning_hub.cli.serving.server", "learning_hub.main", "learning_hub.api.app"]
)


class ForkedProgram:
    """
    A command that runs, as `subprocess.Popen` would have started it.

    Args:
        arguments: Of `learning-hub`.
        environment: The whole environment.
        stderr: An open file for its standard error.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], stderr: Any) -> None:
        reader, writer = os.pipe()
        # Only while the process is started: it gets its own copies.
        files = [_Inherited(writer), _Inherited(stderr.fileno())]
        self._process = _forks.Process(target=_run, args=(list(arguments), dict(environment), str(Path.cwd()), *files))
        self._process.start()
        os.close(writer)
        self.stdout: TextIO = os.fdopen(reader, encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it has ended."""
        self._process.join(seconds)
        status = self.poll()
        if status is None:
            raise TimeoutError
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Inherited:
    """An open file, which is another one in the process that is started."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detach, (DupFd(self._number),)


def _detach(file: Any) -> int:
    return int(file.detach())


def _run(arguments: list[str], environment: dict[str, str], folder: str, stdout: int, stderr: int) -> None:
    """What `python -m learning_hub` does."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for number in (stdout, stderr):
        os.close(number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["learning-hub", *arguments]
    from learning_hub.cli import main

    try:
        main()
    finally:
        # A process of `multiprocessing` ends without these.
        atexit._run_exitfuncs()
