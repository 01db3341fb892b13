"""A render process as the hub sees it: started when needed, used by one caller at a time, and replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TypeVar

from learning_hub.model.errors import Unavailable
from learning_hub.rendering.messages import PREFIX_BYTES, Request, read_length, write_message
from learning_hub.rendering.progress import Progress, ProgressPage

Response = TypeVar("Response")

START_SECONDS = 60.0
# The kernel limits computing time, which on a busy machine takes longer by the clock. The hub therefore waits this many
# times the limit. Its own limit matters only if the kernel does not support one.
PATIENCE = 10


class ProcessDiedError(Exception):
    """
    The process ended before it answered.

    *took_too_long* says that it was ended because of its computing time. *progress* is its last progress, None if that
    is not known.
    """

    def __init__(self, *, took_too_long: bool) -> None:
        super().__init__()
        self.took_too_long = took_too_long
        self.progress: Progress | None = None


class WorkerProcess:
    """
    A process that compiles and renders templates, as `worker_main` does.

    Args:
        render_seconds: Computing time for one payload.
        compile_seconds: Computing time to compile a subscription's templates.
        memory_bytes: Memory of the process, its code included.
    """

    def __init__(self, *, render_seconds: float, compile_seconds: float, memory_bytes: int) -> None:
        self._arguments = (str(render_seconds), str(compile_seconds), str(memory_bytes))
        has_kernel_limit = hasattr(signal, "setitimer")
        self._response_seconds = compile_seconds + render_seconds * (PATIENCE if has_kernel_limit else 1)
        self._progress: ProgressPage | None = None
        self._process: Process | None = None
        self._in_use = asyncio.Lock()
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process id; None while the process is not running."""
        return self._process.pid if self._process else None

    async def exchange(
        self, request: Request, responses: int, read: Callable[[bytes], Response]
    ) -> AsyncGenerator[Response]:
        """
        The responses to *request*, as they arrive.

        The process is ended when the caller stops early or is cancelled, because the pipe then holds responses that
        were not read.

        Args:
            request: The request to send to the process.
            responses: How many responses the request has.
            read: Decodes one response.

        Raises:
            ProcessDiedError: The process ended, or was ended because it did not answer in time.
            Unavailable: It cannot be started, or the renderer is closed.
        """
        async with self._in_use:
            process = await self._start()
            is_done = False
            try:
                await _send(process, write_message(request))
                for index in range(responses):
                    response = read(await _receive(process, self._response_seconds))
                    is_done = index == responses - 1
                    yield response
            except ProcessDiedError as death:
                death.progress = self._progress.read() if self._progress else None
                raise
            finally:
                if not is_done:
                    await self._end()

    async def close(self) -> None:
        """End the process at once and for good; it holds nothing that could be lost."""
        self._is_closed = True
        if self._process is not None:
            _kill(self._process)
        # A caller that waits for a response must see the death first, because a pipe has one reader at a time.
        async with self._in_use:
            await self._end()

    async def _start(self) -> Process:
        if self._is_closed:
            raise Unavailable("The renderer is closed.")
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end()
        # Templates cannot read the environment; removing the hub's secrets from it is a second line of defence.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LEARNING_HUB_")}
        command = (sys.executable, "-m", "learning_hub.rendering.worker_main", *self._arguments)
        try:
            # On Windows a process inherits only its pipes, so its progress is not known.
            self._progress = ProgressPage() if os.name == "posix" else None
            files = [self._progress.file] if self._progress else []
            self._process = await asyncio.create_subprocess_exec(
                *command, *map(str, files), stdin=PIPE, stdout=PIPE, env=environment, pass_fds=files
            )
            # The empty frame, which says that the process is ready.
            await _receive(self._process, START_SECONDS)
        except (OSError, ProcessDiedError) as error:
            await self._end()
            reason = "The renderer is closed." if self._is_closed else "No process can be started to render templates."
            raise Unavailable(reason) from error
        except asyncio.CancelledError:
            await self._end()
            raise
        if self._is_closed:
            await self._end()
            raise Unavailable("The renderer is closed.")
        return self._process

    async def _end(self) -> None:
        """Kill the process if it still runs, and close its pipes."""
        process, self._process = self._process, None
        if self._progress is not None:
            self._progress.close()
            self._progress = None
        if process is None:
            return
        _kill(process)
        assert process.stdin is not None  # noqa: S101 (it was started with pipes)
        assert process.stdout is not None  # noqa: S101
        process.stdin.close()
        await process.wait()
        # The event loop closes the pipe only after reading it to its end.
        await process.stdout.read()


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


async def _send(process: Process, frame: bytes) -> None:
    assert process.stdin is not None  # noqa: S101
    # If the process is dead, reading its response shows that.
    with suppress(ConnectionError):
        process.stdin.write(frame)
        await process.stdin.drain()


async def _receive(process: Process, seconds: float) -> bytes:
    """The body of the next frame."""
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(seconds):
            length = read_length(await process.stdout.readexactly(PREFIX_BYTES))
            return await process.stdout.readexactly(length)
    except TimeoutError:
        raise ProcessDiedError(took_too_long=True) from None
    except asyncio.IncompleteReadError:
        status = await process.wait()
        raise ProcessDiedError(took_too_long=status == -getattr(signal, "SIGPROF", 0)) from None
