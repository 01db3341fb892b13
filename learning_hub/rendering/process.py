"""One rendering process as the hub sees it: started when needed, asked, and replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress

from learning_hub.model.errors import Unavailable
from learning_hub.rendering.bookmark import SharedPage, Standing
from learning_hub.rendering.frames import PREFIX_BYTES, Answer, Request, read_answer, read_length, write_frame

START_SECONDS = 60.0
# The limit is on computing time, which the kernel watches. On a machine with much else to do that takes longer by the
# clock, so the hub itself is more patient; it matters only where the kernel cannot.
PATIENCE = 10


class ProcessDiedError(Exception):
    """
    The process ended before it answered.

    *took_too_long* says that it was ended for its computing time, *standing* where it was; None where nothing tells.
    """

    def __init__(self, *, took_too_long: bool) -> None:
        super().__init__()
        self.took_too_long = took_too_long
        self.standing: Standing | None = None


class RenderingProcess:
    """
    A child process that renders.

    Args:
        time_limit_seconds: Computing time for one payload.
        compile_limit_seconds: Computing time to compile a subscription's templates.
        memory_limit_bytes: Memory of the process, its code included.
    """

    def __init__(self, *, time_limit_seconds: float, compile_limit_seconds: float, memory_limit_bytes: int) -> None:
        self._arguments = (str(time_limit_seconds), str(compile_limit_seconds), str(memory_limit_bytes))
        has_kernel_limit = hasattr(signal, "setitimer")
        self._answer_seconds = compile_limit_seconds + time_limit_seconds * (PATIENCE if has_kernel_limit else 1)
        self._page: SharedPage | None = None
        self._process: Process | None = None
        self._in_use = asyncio.Lock()
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The process id, None while it is not running."""
        return self._process.pid if self._process else None

    async def ask(self, request: Request, answers: int) -> AsyncGenerator[Answer]:
        """
        The answers to *request*, as they come.

        When the caller stops early or is cancelled, the process is ended: answers that nobody took are in the pipe.

        Args:
            request: What to do.
            answers: How many answers it has.

        Raises:
            ProcessDiedError: The process ended, or was ended for not answering in time.
            Unavailable: It cannot be started, or the renderer is closed.
        """
        async with self._in_use:
            process = await self._start()
            is_done = False
            try:
                await _send(process, write_frame(request))
                for index in range(answers):
                    answer = await _receive(process, self._answer_seconds)
                    is_done = index == answers - 1
                    yield answer
            except ProcessDiedError as death:
                death.standing = self._page.read() if self._page else None
                raise
            finally:
                if not is_done:
                    await self._end()

    async def close(self) -> None:
        """End the process for good, at once; it has nothing to lose."""
        self._is_closed = True
        if self._process is not None:
            _kill(self._process)
        # Whoever waits for an answer learns of the death first; a pipe has one reader at a time.
        async with self._in_use:
            await self._end()

    async def _start(self) -> Process:
        if self._is_closed:
            raise Unavailable("The renderer is closed.")
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end()
        # Templates cannot read the environment; that the hub's secrets are not in it is a second lock on that door.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LEARNING_HUB_")}
        command = (sys.executable, "-m", "learning_hub.rendering.child", *self._arguments)
        try:
            # On Windows a process gets no files but its pipes, and where it is remains untold.
            self._page = SharedPage() if os.name == "posix" else None
            files = [self._page.file] if self._page else []
            self._process = await asyncio.create_subprocess_exec(
                *command, *map(str, files), stdin=PIPE, stdout=PIPE, env=environment, pass_fds=files
            )
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
        """Kill the process if it still runs, and let go of its pipes."""
        process, self._process = self._process, None
        if self._page is not None:
            self._page.close()
            self._page = None
        if process is None:
            return
        _kill(process)
        assert process.stdin is not None  # noqa: S101 (it was started with pipes)
        assert process.stdout is not None  # noqa: S101
        process.stdin.close()
        await process.wait()
        # What is left in the pipe is read to its end, so that the loop closes it.
        await process.stdout.read()


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


async def _send(process: Process, frame: bytes) -> None:
    assert process.stdin is not None  # noqa: S101
    # A process that died is found out when its answer is read.
    with suppress(ConnectionError):
        process.stdin.write(frame)
        await process.stdin.drain()


async def _receive(process: Process, seconds: float) -> Answer:
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(seconds):
            length = read_length(await process.stdout.readexactly(PREFIX_BYTES))
            return read_answer(await process.stdout.readexactly(length))
    except TimeoutError:
        raise ProcessDiedError(took_too_long=True) from None
    except asyncio.IncompleteReadError:
        status = await process.wait()
        raise ProcessDiedError(took_too_long=status == -getattr(signal, "SIGPROF", 0)) from None
